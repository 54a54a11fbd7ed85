"""States of backups and kinds of jobs, as data."""

from __future__ import annotations

import datetime
import enum

from django.db import models
from django.db.models import Q


class BackupStatus(models.TextChoices):
    CREATING = "CREATING"
    """The manifest is not sealed yet."""
    AVAILABLE = "AVAILABLE"
    """The backup can be restored."""
    DELETING = "DELETING"
    """The backup cannot be restored any more. Its files are being deleted."""
    GONE = "GONE"
    """The backup failed, was cancelled or was deleted. The row is history."""


B = BackupStatus
TRANSITIONS: dict[BackupStatus, frozenset[BackupStatus]] = {
    B.CREATING: frozenset({B.AVAILABLE, B.GONE}),
    B.AVAILABLE: frozenset({B.DELETING}),
    B.DELETING: frozenset({B.GONE}),
    B.GONE: frozenset(),
}


def is_good(backup: str = "") -> Q:
    """Condition for available backups without damage. `backup` is the lookup path of the backup,
    such as `job__backup__`.
    """
    return Q(**{f"{backup}status": B.AVAILABLE, f"{backup}damage_found_by": ""})


def is_damaged(backup: str = "") -> Q:
    """Condition for available backups with damage."""
    return Q(**{f"{backup}status": B.AVAILABLE, f"{backup}damage_found_by__gt": ""})


class JobKind(models.TextChoices):
    BACKUP = "BACKUP"
    RESTORE = "RESTORE"
    VERIFY = "VERIFY"
    DELETE = "DELETE"


IMPORT_TIMEOUT = datetime.timedelta(minutes=15)
"""An import that has copied nothing for so long is dead, and the janitor removes its files."""

JOB_ID_PREFIX = "job"
BACKUP_ID_PREFIX = "bak"


class OnConflict(enum.StrEnum):
    FAIL = "FAIL"
    RENAME = "RENAME"
    REPLACE = "REPLACE"
