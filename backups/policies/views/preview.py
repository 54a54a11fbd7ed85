"""Preview of a typed policy: cron in words, next runs, retention decisions."""

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
"""Number of runs from which the reach of the kept backups is estimated."""
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
"""Prefixes of files that are not zones, and of alternative names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchedulePreview:
    """Typed values with their errors, or with a preview."""

    form: ScheduleForm
    seen: Preview | None = None
    zone: str = ""
    count: int = 0

    @property
    def runs(self) -> list[datetime]:
        return self.seen.runs[:PREVIEW_RUNS] if self.seen else []

    @property
    def reach(self) -> str:
        """Age of the oldest kept backup once the count is reached."""
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
        """Number of existing backups of the policy."""
        return len(self.seen.would_keep) + len(self.going) if self.seen else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyDiscovery:
    """Databases and collections of a live cluster, or the reason why they are unknown."""

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
    """Read the cluster. If it does not answer, the user types the names."""
    databases: list[str] = []
    try:
        require_running(cluster, JobKind.BACKUP)
        databases = databases_of(cluster)
        return PolicyDiscovery(databases=databases, collections=collections_of(cluster, database))
    except ConsoleError as error:
        return PolicyDiscovery(databases=databases, problem=error.message)


def in_words(span: timedelta) -> str:
    """Format a duration in its largest suitable unit."""
    hours = span / timedelta(hours=1)
    for unit, size in (("year", 8766), ("month", 730.5), ("day", 24), ("hour", 1)):
        if hours >= 2 * size:
            return f"{round(hours / size):,} {unit}s"
    return f"{max(1, round(hours * 60))} minutes"


@lru_cache(maxsize=1)
def zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(UNLISTED))
