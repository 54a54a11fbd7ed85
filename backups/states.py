"""The states of a backup and of restoring, as data."""

from __future__ import annotations

import enum

from django.db import models
from django.db.models import Q


class BackupStatus(models.TextChoices):
    CREATING = "CREATING"
    """Its job has not sealed the manifest yet."""
    AVAILABLE = "AVAILABLE"
    """The manifest is in the store: it can be restored."""
    DELETING = "DELETING"
    """Nobody may restore it any more; its files are being removed."""
    GONE = "GONE"
    """Failed, cancelled or deleted: without files, kept for history, shown nowhere as a backup."""


B = BackupStatus
TRANSITIONS: dict[BackupStatus, frozenset[BackupStatus]] = {
    B.CREATING: frozenset({B.AVAILABLE, B.GONE}),
    B.AVAILABLE: frozenset({B.DELETING}),
    B.DELETING: frozenset({B.GONE}),
    B.GONE: frozenset(),
}


def is_good(backup: str = "") -> Q:
    """The backups that can be counted on: available, and not found damaged. `backup` is the path to
    them, such as `job__backup__`.
    """
    return Q(**{f"{backup}status": B.AVAILABLE, f"{backup}damage_found_by": ""})


def is_damaged(backup: str = "") -> Q:
    """The available backups of which something was found otherwise than it was sealed."""
    return Q(**{f"{backup}status": B.AVAILABLE, f"{backup}damage_found_by__gt": ""})


class JobKind(models.TextChoices):
    BACKUP = "BACKUP"
    RESTORE = "RESTORE"
    VERIFY = "VERIFY"
    DELETE = "DELETE"


class OnConflict(enum.StrEnum):
    """What a restore does about a collection that has the name already."""

    FAIL = "FAIL"
    RENAME = "RENAME"
    REPLACE = "REPLACE"
