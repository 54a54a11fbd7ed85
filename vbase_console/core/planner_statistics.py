"""Statistics by which SQLite chooses indexes. PostgreSQL collects its own."""

from __future__ import annotations

from django.db import connection

SAMPLED_ROWS = 1_000
"""Rows that are read of each index, so that a large database costs milliseconds."""


def update_planner_statistics() -> None:
    """Without statistics SQLite reads the whole history where a selective index exists."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {SAMPLED_ROWS}")
            cursor.execute("ANALYZE")
