"""What a schedule promises about the age of the newest backup: pure functions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, tzinfo

from backups.policies.cron import Cron, next_after

RUN_DURATION_ALLOWANCE = timedelta(hours=2)
"""A run that was planned has so long to be done, or until the next one is planned: a daily backup
that failed shows in the same night, and one that takes an hour is no alarm.
"""


def rpo_deadline(cron: Cron, zone: tzinfo, newest_at: datetime) -> datetime:
    """Until when a backup of `newest_at` is as new as the schedule promises.

    The first instant planned after it should have brought a newer one.
    """
    planned = next_after(cron, zone, newest_at)
    following = next_after(cron, zone, planned)
    return min(following, planned + RUN_DURATION_ALLOWANCE)


def covers(chosen: Collection[str], name: str) -> bool:
    """Whether a policy for these collections takes this one; none chosen: every one."""
    return not chosen or name in chosen
