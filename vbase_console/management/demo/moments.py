"""Moments of tasks and backups in the history of an organization with sample data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

from backups.policies.days import CALENDAR_DAYS

BATCH_SIZE = 2_000
MAX_TASK_DURATION = timedelta(seconds=91)
HISTORY = timedelta(days=180)
"""Age of the oldest rows, within all limits of housekeeping."""
RECENT = timedelta(days=CALENDAR_DAYS)
"""Age of backups with events of their phases."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """Numbers of rows. Every backup has a job besides the tasks of clusters."""

    clusters: int
    backups: int
    tasks: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """One task or one backup at its place in the history."""

    number: int
    at: datetime
    is_backup: bool
    is_recent: bool


def batches_of_moments(size: Size) -> Iterator[list[Moment]]:
    """Yield all moments, the oldest first, in batches for one transaction each."""
    moments = _moments(size)
    while batch := list(islice(moments, BATCH_SIZE)):
        yield batch


def _moments(size: Size) -> Iterator[Moment]:
    """Spread tasks and backups evenly over the history, each in its order."""
    end = timezone.now() - MAX_TASK_DURATION  # no task ends in the future
    total = size.tasks + size.backups
    numbers = {True: iter(range(size.backups)), False: iter(range(size.tasks))}
    backups = 0
    for place in range(total):
        is_backup = (place + 1) * size.backups // total > backups
        backups += is_backup
        at = end - HISTORY * (1 - (place + 1) / total)
        yield Moment(
            number=next(numbers[is_backup]),
            at=at,
            is_backup=is_backup,
            is_recent=end - at < RECENT,
        )
