"""A plugin for the half on PostgreSQL: what meets no database is left to the half on SQLite."""

from __future__ import annotations

import pytest

FIXTURES = {"db", "transactional_db", "django_db_setup", "console"}
STARTERS = {"Console", "a_console"}
"""Fixtures of modules that start consoles, each of which has a database."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left = [item for item in items if not _meets_one(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if _meets_one(item)]


def _meets_one(item: pytest.Item) -> bool:
    """Without one of these fixtures pytest-django lets no test ask the database."""
    assert isinstance(item, pytest.Function)
    marked = item.get_closest_marker("django_db") is not None
    return marked or not {*vars(item.module), *item.fixturenames}.isdisjoint(FIXTURES | STARTERS)
