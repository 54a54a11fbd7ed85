"""One place says whether a backup is damaged, and everything that chooses or shows one reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("backups", "clusters", "vbase_console")
THE_PLACE = {
    "backups/models.py": "the column, and what is read of it",
    "backups/states.py": "the conditions that databases filter by",
    "backups/services/backups.py": "keeps the finder when a look finds more",
    "backups/janitor.py": "fetches the column with its rows, because `is_damaged` reads it",
    "backups/admin.py": "sorts by the column; shows `is_damaged`",
    "backups/views/list.py": "writes the column into the exported table",
    "vbase_console/management/demo/rows.py": "writes sample rows, some of them damaged",
}
"""Files that name `damage_found_by`; all others read `is_damaged`, `good()` or `damaged()`."""

LISTS_ALL = {
    "backups/cluster_protection.py": "names all backups that go or stay with a cluster, damaged "
    "ones as such",
    "backups/janitor.py": "removes late parts, which make an archive look damaged",
    "backups/policies/pruning.py": "retention decides on damaged ones, too, and counts none",
    "backups/policies/views/actions.py": "lists what a policy leaves, damaged ones as such",
    "vbase_console/dashboard/cluster.py": "lists what a cluster leaves, damaged ones as such",
    "backups/models.py": "defines it",
}
"""Files that may call `available()`, which damaged backups belong to, and why."""


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(PROJECT)), path.read_text()


def test_only_the_place_reads_the_column() -> None:
    named = {name for name, text in sources() if re.search(r"\bdamage_found_by\b", text)}
    assert named == set(THE_PLACE)


def test_what_chooses_a_backup_asks_for_good_ones() -> None:
    calls = {
        name
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr == "available"
    }
    assert calls | {"backups/models.py"} == set(LISTS_ALL)


def test_no_page_shows_the_status_of_a_backup_without_its_damage() -> None:
    templates = (PROJECT / "templates").rglob("*.html")
    shown = re.compile(
        r"\{% badge (?:row\.|each\.)?(?:job\.)?backup\.status|damage_found_by\b(?!_job)"
    )
    assert [str(path) for path in templates if shown.search(path.read_text())] == []
