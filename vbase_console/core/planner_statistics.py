"""Figures by which databases choose indexes: statistics of the rows, and the cost of a page."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from django.db import connection

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

SAMPLED_ROWS = 1_000
"""Rows that are read of each index, so that a large database costs milliseconds."""
RANDOM_PAGE_COST = 1.1
"""Cost of a page that an index finds, against one page of a table that is read as a whole.
PostgreSQL assumes 4, as on a disk without cache. It then reads all backups where the rows of 900
are needed.
"""
LOWER_RANDOM_PAGE_COST = """
    SELECT set_config('random_page_cost', %s, false) FROM pg_settings
    WHERE name = 'random_page_cost' AND source = 'default'
"""
_informed: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections of the pool that have the page cost."""


def update_planner_statistics(*, after_filling: bool = False) -> None:
    """Without statistics the database reads the whole history where a selective index exists.

    PostgreSQL collects its own within minutes. `after_filling` does not wait for them.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA analysis_limit = {SAMPLED_ROWS}")
            cursor.execute("ANALYZE")
        elif after_filling:
            cursor.execute("ANALYZE")


def set_page_cost(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receiver of `connection_created`. A cost that the operator has configured is kept."""
    session = connection.connection
    if connection.vendor == "postgresql" and session not in _informed:
        session.execute(LOWER_RANDOM_PAGE_COST, [str(RANDOM_PAGE_COST)])
        _informed.add(session)
