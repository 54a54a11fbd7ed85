"""Words of policies, as data."""

from __future__ import annotations

from datetime import timedelta

from django.db import models

MAX_RETENTION_COUNT = 1000


class OnMissing(models.TextChoices):
    """What a run does about a chosen collection that has vanished."""

    FAIL = "FAIL"
    WARN = "WARN"
    """Take the others; such a backup is not complete and no retention counts it."""


class RetentionOutcome(models.TextChoices):
    """What retention does with a backup of the policy."""

    KEEP = "KEEP"
    EXPIRE = "EXPIRE"


OVERDUE_AFTER = timedelta(seconds=30)
"""So long after its instant a run that nobody has begun is late."""
RETENTION_OVERDUE_AFTER = timedelta(minutes=5)
"""So long after a run retention was applied, many times over."""
SKIPPED = "SKIPPED"
"""The status of a run that was due and made no backup; any other status is its task's."""
