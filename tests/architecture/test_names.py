"""Two classes of the product never share a name, so that a name is enough to find one."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from django.conf import settings

PRODUCT = ("vbase_console", "clusters", "backups")
SHARED = frozenset({"Command", "Media", "Meta"})
"""Names that Django looks for."""
UNLIKE_OTHERS = re.compile(
    r"^\s*(?:_?(?:MOST|LONGEST|DEEPEST)_[A-Z_]+|_?(?:[A-Z_]+_)?AT_ONCE)(?:: \w+)? ="
    r"|\bfor each in\b",
    re.MULTILINE,
)
"""A limit is MAX_, MIN_, _TIMEOUT or BATCH_SIZE, and a loop variable is the noun."""


def classes_in(paths: list[Path]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name not in SHARED:
                places[node.name].append(f"{path}:{node.lineno}")
    return places


def modules_of_the_product() -> list[Path]:
    return [
        path
        for folder in PRODUCT
        for path in (settings.BASE_DIR / folder).rglob("*.py")
        if "migrations" not in path.parts
    ]


def test_every_class_has_a_name_of_its_own() -> None:
    paths = modules_of_the_product()
    assert paths
    shared = [f"{name}: {at}" for name, at in classes_in(paths).items() if len(at) > 1]
    assert not shared, "\n".join(shared)


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    modules = [tmp_path / "one.py", tmp_path / "two.py"]
    for module in modules:
        module.write_text("class Call: ...\n")
    assert classes_in(modules) == {"Call": [f"{module}:1" for module in modules]}


def test_limits_and_loop_variables_are_named_alike_everywhere() -> None:
    found = {
        str(path): UNLIKE_OTHERS.findall(path.read_text()) for path in modules_of_the_product()
    }
    assert found
    assert {path: names for path, names in found.items() if names} == {}


def test_a_limit_of_another_name_is_found() -> None:
    text = "MOST_ROWS = 3\nROWS_AT_ONCE: int = 3\n_LONGEST_NAME = 4\nx = [each for each in rows]\n"
    assert len(UNLIKE_OTHERS.findall(text)) == 4
    assert UNLIKE_OTHERS.findall("MAX_ROWS = 3\nfor row in rows: ...\nALMOST_ALL = 3\n") == []


def test_the_root_of_backups_has_room_for_eighteen_modules() -> None:
    """It had 33, and a stranger found nothing in it. A new subject is a folder."""
    modules = [path.stem for path in (settings.BASE_DIR / "backups").glob("*.py")]
    assert "models" in modules
    assert len(modules) - modules.count("__init__") <= 18
