"""Two classes of the product never share a name, so that a name is enough to find one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from django.conf import settings

PRODUCT = ("vbase_console", "clusters", "backups")
SHARED = frozenset({"Command", "Media", "Meta"})
"""Names that Django looks for."""


def classes_in(paths: list[Path]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name not in SHARED:
                places[node.name].append(f"{path}:{node.lineno}")
    return places


def test_every_class_has_a_name_of_its_own() -> None:
    paths = [
        path
        for folder in PRODUCT
        for path in (settings.BASE_DIR / folder).rglob("*.py")
        if "migrations" not in path.parts
    ]
    assert paths
    shared = [f"{name}: {at}" for name, at in classes_in(paths).items() if len(at) > 1]
    assert not shared, "\n".join(shared)


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    modules = [tmp_path / "one.py", tmp_path / "two.py"]
    for module in modules:
        module.write_text("class Call: ...\n")
    assert classes_in(modules) == {"Call": [f"{module}:1" for module in modules]}


def test_the_root_of_backups_has_room_for_eighteen_modules() -> None:
    """It had 33, and a stranger found nothing in it. A new subject is a folder."""
    modules = [path.stem for path in (settings.BASE_DIR / "backups").glob("*.py")]
    assert "models" in modules
    assert len(modules) - modules.count("__init__") <= 18
