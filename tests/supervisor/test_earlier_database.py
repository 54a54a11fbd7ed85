"""A database that an earlier version of the console created is refused, and left as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.live import Console

APPLIED = """
CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied text);
INSERT INTO django_migrations (app, name, applied) VALUES ('backups', '{name}', '2026-11-23');
"""


def database_with_migration(console: Console, name: str) -> Path:
    console.data_dir.mkdir()
    file = console.data_dir / "console.sqlite3"
    database = sqlite3.connect(file)
    database.executescript(APPLIED.format(name=name))
    database.close()
    return file


def test_a_database_of_an_earlier_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    console = Console(tmp_path / "data")
    database_with_migration(console, "0002_policies")
    with pytest.raises(AssertionError, match="An earlier version of the console created") as error:
        console.manage("prepare")
    assert f"the database in {console.data_dir}" in str(error.value)


def test_a_database_of_an_earlier_version_is_not_changed(tmp_path: Path) -> None:
    console = Console(tmp_path / "data")
    file = database_with_migration(console, "0002_policies")
    before = file.read_bytes()
    with pytest.raises(AssertionError):
        console.manage("prepare")
    assert file.read_bytes() == before
    assert [each.name for each in console.data_dir.glob("console*")] == [file.name]


def test_a_console_on_a_database_of_an_earlier_version_does_not_start(tmp_path: Path) -> None:
    console = Console(tmp_path / "data")
    database_with_migration(console, "0002_policies")
    console.begin()
    try:
        assert console.process is not None
        assert console.process.wait(60) == 1
        assert "The console was not started" in "\n".join(console.said)
    finally:
        console.close()
