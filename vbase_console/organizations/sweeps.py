"""Sweep that deletes expired sessions and old sign-in log entries."""

from __future__ import annotations

from datetime import timedelta

from axes.models import AccessLog
from celery import shared_task
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from vbase_console.core import batch_delete


@shared_task(name="vbase.sweep.sign_ins")
def sweep_sign_ins() -> int:
    """Return the number of deleted rows."""
    now = timezone.now()
    oldest = now - timedelta(days=settings.SIGN_IN_HISTORY_DAYS)
    return batch_delete.remove(Session.objects.filter(expire_date__lt=now)) + batch_delete.remove(
        AccessLog.objects.filter(attempt_time__lt=oldest)
    )
