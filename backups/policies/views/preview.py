"""What a policy would mean, while it is typed: cron in words, next runs, what would stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from backups.discovery import DiscoveredCollection, collections_of, databases_of
from backups.policies.cron import EXCLUDED_ZONES
from backups.policies.forms import ScheduleForm
from backups.policies.models import BackupPolicy
from backups.policies.preview import Preview, RetentionPreview, preview
from backups.policies.validation import PolicySpec
from backups.states import JobKind
from clusters.admission import require_running
from clusters.models import Cluster
from vbase_console.core.errors import ConsoleError, InvalidArgument
from vbase_console.web.forms import add_errors

PREVIEW_RUNS = 6
REACH_SAMPLE_RUNS = 30
"""From so many runs it is told how far back the kept ones reach."""
MAX_NAMES = 20
SCHEDULES = (
    ("@hourly", "Every hour"),
    ("0 */6 * * *", "Every six hours"),
    ("0 3 * * *", "Every day at 03:00"),
    ("30 2 * * 1-5", "On working days at 02:30"),
    ("0 4 * * 0", "On Sundays at 04:00"),
    ("0 5 1 * *", "On the first of every month at 05:00"),
)
UNLISTED = (*EXCLUDED_ZONES, "Etc/", "SystemV/", "US/")
"""What is no zone, and other names of some."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchedulePreview:
    """What is typed, with what is wrong with it or else what it would mean."""

    form: ScheduleForm
    seen: Preview | None = None
    zone: str = ""
    count: int = 0

    @property
    def runs(self) -> list[datetime]:
        return self.seen.runs[:PREVIEW_RUNS] if self.seen else []

    @property
    def reach(self) -> str:
        """How old the oldest of the kept ones is, once all are there."""
        if self.seen is None:
            return ""
        first, *_, last = self.seen.runs
        return in_words(self.count * (last - first) / (len(self.seen.runs) - 1))

    @property
    def going(self) -> list[RetentionPreview]:
        return self.seen.would_expire if self.seen else []

    @property
    def named(self) -> list[RetentionPreview]:
        return self.going[:MAX_NAMES]

    @property
    def unnamed(self) -> int:
        return max(0, len(self.going) - MAX_NAMES)

    @property
    def judged(self) -> int:
        """How many backups there are to decide on."""
        return len(self.seen.would_keep) + len(self.going) if self.seen else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyDiscovery:
    """What the living cluster has, or why nobody can say."""

    databases: list[str] = dataclasses.field(default_factory=list)
    collections: list[DiscoveredCollection] | None = None
    problem: str = ""


def ahead_of(typed: Mapping[str, Any], policy: BackupPolicy | None = None) -> SchedulePreview:
    form = ScheduleForm(typed)
    if not form.is_valid():
        return SchedulePreview(form=form)
    given = form.cleaned_data
    try:
        seen = preview(PolicySpec(**given), policy=policy, count=REACH_SAMPLE_RUNS)
    except InvalidArgument as error:
        add_errors(form, error)
        return SchedulePreview(form=form)
    return SchedulePreview(
        form=form, seen=seen, zone=given["timezone"], count=given["retention_count"]
    )


def look_at(cluster: Cluster, database: str) -> PolicyDiscovery:
    """A policy can be made for a cluster that does not answer now: names are typed then."""
    databases: list[str] = []
    try:
        require_running(cluster, JobKind.BACKUP)
        databases = databases_of(cluster)
        return PolicyDiscovery(databases=databases, collections=collections_of(cluster, database))
    except ConsoleError as error:
        return PolicyDiscovery(databases=databases, problem=error.message)


def in_words(span: timedelta) -> str:
    """As coarse as a reader wants it."""
    hours = span / timedelta(hours=1)
    for unit, size in (("year", 8766), ("month", 730.5), ("day", 24), ("hour", 1)):
        if hours >= 2 * size:
            return f"{round(hours / size):,} {unit}s"
    return f"{max(1, round(hours * 60))} minutes"


@lru_cache(maxsize=1)
def zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(UNLISTED))
