"""Registry through which the health check asks apps for overdue scheduled work.

A higher app registers in its `AppConfig.ready`. Without a registration nothing is overdue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Query = Callable[[], datetime | None]

_queries: list[Query] = []


def register(query: Query) -> None:
    if query not in _queries:
        _queries.append(query)


def overdue_since() -> datetime | None:
    """Return the planned start of the oldest overdue work, or None."""
    starts = [since for query in _queries if (since := query()) is not None]
    return min(starts, default=None)
