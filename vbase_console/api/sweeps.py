from __future__ import annotations

from celery import shared_task

from vbase_console.api.models import IdempotentAnswer, oldest_kept
from vbase_console.core import batch_delete


@shared_task(name="vbase.sweep.answers")
def sweep_answers() -> int:
    return batch_delete.remove(IdempotentAnswer.objects.filter(created_at__lte=oldest_kept()))
