"""Views find rows by the one rule of visibility, and in no other way."""

from __future__ import annotations

import ast
from pathlib import Path

from django.conf import settings

ROOT: Path = settings.BASE_DIR
FOUND_BY_THE_RULE = {"visible_to", "found", "none"}
# File: expression → why it is asked for otherwise.
EXEMPT: dict[str, str] = {}


def views() -> list[Path]:
    apps = [ROOT / "vbase_console", ROOT / "clusters", ROOT / "backups"]
    files = [file for app in apps for file in app.rglob("*.py")]
    return [file for file in files if is_door(file.relative_to(ROOT))]


def is_door(file: Path) -> bool:
    doors = {"views", "api", "pages", "views.py", "forms.py"}
    return bool(doors & set(file.parts)) and "migrations" not in file.parts


def asked(chain: ast.expr) -> list[str]:
    """The words after `objects` in `Cluster.objects.one(…).two(…)`; none where there is none."""
    words: list[str] = []
    while isinstance(chain, ast.Attribute | ast.Call):
        if isinstance(chain, ast.Call):
            chain = chain.func
            continue
        if chain.attr == "objects":
            return words
        words.insert(0, chain.attr)
        chain = chain.value
    return []


def other_ways(source: str, name: str) -> list[str]:
    """What is asked of a manager without the rule, by the whole chain of words."""
    chains = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    inner = {id(part) for chain in chains for part in ast.walk(chain.func)}
    whole = [(chain, asked(chain)) for chain in chains if id(chain) not in inner]
    return [
        f"{name}: {ast.unparse(chain.func)}"
        for chain, words in whole
        if words and not FOUND_BY_THE_RULE & set(words)
    ]


def test_no_view_fetches_past_the_rule() -> None:
    found = [
        way
        for file in views()
        for way in other_ways(file.read_text(), file.relative_to(ROOT).as_posix())
    ]
    assert set(found) == set(EXEMPT)


def test_no_view_uses_the_shortcuts_that_know_no_tenant() -> None:
    shortcuts = ("get_object_or_404", "get_list_or_404")
    careless = [file for file in views() for word in shortcuts if word in file.read_text()]
    assert careless == []


def test_it_notices_a_view_that_fetches_by_key_alone() -> None:
    source = "def get(request, pk):\n    return Cluster.objects.get(pk=pk)\n"
    assert other_ways(source, "views.py") == ["views.py: Cluster.objects.get"]
    assert other_ways("Cluster.objects.found(principal, pk=pk)", "views.py") == []
    assert other_ways("Cluster.objects.alive().visible_to(me).first()", "views.py") == []
