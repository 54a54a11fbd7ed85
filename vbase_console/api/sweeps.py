"""Answers past their time, removed in batches so that nobody waits for it."""

from __future__ import annotations

from celery import shared_task

from vbase_console.api.idempotency import oldest_kept
from vbase_console.api.models import IdempotentAnswer

DELETE_AT_ONCE = 1_000
DELETE_BATCHES = 50


@shared_task(name="vbase.sweep.answers")
def sweep_answers() -> int:
    removed = 0
    for _ in range(DELETE_BATCHES):
        old = IdempotentAnswer.objects.filter(created_at__lte=oldest_kept())
        batch = list(old.values_list("pk", flat=True)[:DELETE_AT_ONCE])
        deleted, _ = IdempotentAnswer.objects.filter(pk__in=batch).delete()
        removed += deleted
        if len(batch) < DELETE_AT_ONCE:
            break
    return removed
