"""Words of policies, as data."""

from __future__ import annotations

from django.db import models


class OnMissing(models.TextChoices):
    """What a run does about a chosen collection that has vanished."""

    FAIL = "FAIL"
    WARN = "WARN"
    """Take the others; such a backup is not complete and no retention counts it."""


SKIPPED = "SKIPPED"
"""The status of a run that was due and made no backup; any other status is its task's."""
