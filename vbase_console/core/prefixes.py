"""Filter by the beginning of a text, so that the database uses an index."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet

LAST_CHARACTER = "\U0010ffff"


Rows = TypeVar("Rows", bound=QuerySet[Any])


def with_prefix(rows: Rows, column: str, prefix: str) -> Rows:
    """SQLite uses its index for a range only, PostgreSQL one with `varchar_pattern_ops` for LIKE
    only.
    """
    if connection.vendor == "sqlite":
        ends = {f"{column}__gte": prefix, f"{column}__lt": prefix + LAST_CHARACTER}
        return rows.filter(**ends)
    return rows.filter(**{f"{column}__startswith": prefix})
