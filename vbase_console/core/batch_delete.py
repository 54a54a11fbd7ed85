"""Delete many rows in small batches, so that no transaction locks them for long."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

BATCH_SIZE = 1_000
MAX_BATCHES = 50


def remove(rows: QuerySet[Any]) -> int:
    """Delete up to MAX_BATCHES batches, each in its own transaction; a later call deletes the rest.

    Returns the number of deleted rows.
    """
    removed = 0
    for _ in range(MAX_BATCHES):
        batch = list(rows.values_list("pk", flat=True)[:BATCH_SIZE])
        rows.model._base_manager.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < BATCH_SIZE:
            break
    return removed
