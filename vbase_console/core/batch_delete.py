"""Removing many rows without anybody having to wait for it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

BATCH_SIZE = 1_000
MAX_BATCHES = 50


def remove(rows: QuerySet[Any]) -> int:
    """Delete them in batches, each in a transaction of its own; what is left after so many of them
    is for the next time. Answers how many went.
    """
    removed = 0
    for _ in range(MAX_BATCHES):
        batch = list(rows.values_list("pk", flat=True)[:BATCH_SIZE])
        rows.model._base_manager.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < BATCH_SIZE:
            break
    return removed
