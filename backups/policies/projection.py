"""Backups that a policy would have at a later instant, if every planned run succeeds."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import takewhile

from backups.policies.cron import Cron, next_after, upcoming

MAX_STEPS = 20_000
"""Limit of planned runs that are counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection:
    at: datetime
    count: int
    oldest: datetime | None
    newest: datetime | None


def project(
    cron: Cron,
    zone: tzinfo,
    *,
    existing: Sequence[datetime],
    retention_count: int,
    now: datetime,
    at: datetime,
) -> Projection | None:
    """Return the newest `retention_count` of the existing and the planned backups.

    Pinned and held backups are kept besides. Returns None if too many runs are planned until then.
    """
    first = next_after(cron, zone, now)
    interval = next_after(cron, zone, first) - first
    # Only the last runs count. Twice the time that regular ones need allows for irregular ones.
    start = max(now, at - 2 * (retention_count + 1) * interval)
    planned = _last_runs(cron, zone, start=start, at=at, count=retention_count)
    if planned is not None and len(planned) < retention_count and start > now:
        planned = _last_runs(cron, zone, start=now, at=at, count=retention_count)
    if planned is None:
        return None
    kept = sorted([*(made for made in existing if made <= at), *planned])[-retention_count:]
    return Projection(
        at=at,
        count=len(kept),
        oldest=kept[0] if kept else None,
        newest=kept[-1] if kept else None,
    )


def _last_runs(
    cron: Cron, zone: tzinfo, *, start: datetime, at: datetime, count: int
) -> list[datetime] | None:
    last: deque[datetime] = deque(maxlen=count)
    for steps, run in enumerate(takewhile(lambda run: run <= at, upcoming(cron, zone, start))):
        if steps >= MAX_STEPS:
            return None
        last.append(run)
    return list(last)
