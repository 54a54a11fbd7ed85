"""Recovery point objective that a schedule implies: pure functions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, tzinfo

from backups.policies.cron import Cron, next_after

RUN_DURATION_ALLOWANCE = timedelta(hours=2)
"""Time that a planned run may take, at most until the next one is planned.

A failed daily backup shows in the same night, and one that takes an hour raises no alarm.
"""


def rpo_deadline(cron: Cron, zone: tzinfo, newest_at: datetime) -> datetime:
    """End of the time in which a backup of `newest_at` meets the RPO.

    The first run planned after the backup should have made a newer one.
    """
    planned = next_after(cron, zone, newest_at)
    following = next_after(cron, zone, planned)
    return min(following, planned + RUN_DURATION_ALLOWANCE)


def covers(chosen: Collection[str], name: str) -> bool:
    """Rule of selection: a policy without chosen collections covers every one."""
    return not chosen or name in chosen
