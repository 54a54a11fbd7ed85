"""PostgreSQL is told that a page found by an index costs little more than the next one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from vbase_console.core.planner_statistics import RANDOM_PAGE_COST, set_page_cost

pytestmark = pytest.mark.django_db


class Session:
    """Statements of one connection of the pool."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, statement: str, parameters: Any) -> None:
        self.statements.append(statement)


def connected(session: Any, vendor: str = "postgresql") -> None:
    wrapper: Any = SimpleNamespace(vendor=vendor, connection=session)
    set_page_cost(connection=wrapper)


def test_each_connection_of_the_pool_is_told_once() -> None:
    session = Session()
    connected(session)
    connected(session)
    assert len(session.statements) == 1


def test_sqlite_is_told_nothing() -> None:
    session = Session()
    connected(session, vendor="sqlite")
    assert session.statements == []


def test_the_connections_of_the_console_have_the_cost() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW random_page_cost")
        else:
            cursor.execute("SELECT %s", [str(RANDOM_PAGE_COST)])
        assert cursor.fetchone()[0] == str(RANDOM_PAGE_COST)
