"""Answers past their time."""

from __future__ import annotations

from celery import shared_task

from vbase_console import batches
from vbase_console.api.models import IdempotentAnswer, oldest_kept


@shared_task(name="vbase.sweep.answers")
def sweep_answers() -> int:
    return batches.remove(IdempotentAnswer.objects.filter(created_at__lte=oldest_kept()))
