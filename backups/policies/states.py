from __future__ import annotations

from datetime import timedelta

from django.db import models

MAX_RETENTION_COUNT = 1000


class OnMissing(models.TextChoices):
    """Reaction of a run to a missing chosen collection."""

    FAIL = "FAIL"
    WARN = "WARN"
    """Back up the others. The backup is incomplete and retention does not count it."""


class RetentionOutcome(models.TextChoices):
    KEEP = "KEEP"
    EXPIRE = "EXPIRE"


OVERDUE_AFTER = timedelta(seconds=30)
"""Delay after which a run that has not started is late."""
RETENTION_OVERDUE_AFTER = timedelta(minutes=5)
"""Delay after a run, a multiple of the usual one, after which retention is overdue."""
SKIPPED = "SKIPPED"
"""Status of a run without a job; every other status is that of the job's task."""
