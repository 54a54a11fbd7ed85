"""Preview of a typed policy: cron in words, next runs, retention decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from backups.policies.cron import EXCLUDED_ZONES
from backups.policies.forms import ScheduleForm
from backups.policies.models import BackupPolicy
from backups.policies.presets import PRESETS
from backups.policies.preview import Preview, RetentionPreview, preview
from backups.policies.validation import PolicySpec
from vbase_console.core.errors import InvalidArgument
from vbase_console.web.forms import add_errors

PREVIEW_RUNS = 6
REACH_SAMPLE_RUNS = 30
"""Number of runs from which the reach of the kept backups is estimated."""
MAX_NAMES = 20
SCHEDULES = tuple((preset.schedule_cron, preset.label) for preset in PRESETS.values())
UNLISTED = (*EXCLUDED_ZONES, "Etc/", "SystemV/", "US/")
"""Prefixes of files that are not zones, and of alternative names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchedulePreview:
    """Typed values with their errors, or with a preview."""

    form: ScheduleForm
    preview: Preview | None = None
    zone: str = ""
    count: int = 0

    @property
    def runs(self) -> list[datetime]:
        return self.preview.runs[:PREVIEW_RUNS] if self.preview else []

    @property
    def reach(self) -> str:
        """Age of the oldest kept backup once the count is reached."""
        if self.preview is None:
            return ""
        first, *_, last = self.preview.runs
        return in_words(self.count * (last - first) / (len(self.preview.runs) - 1))

    @property
    def expiring(self) -> list[RetentionPreview]:
        return self.preview.would_expire if self.preview else []

    @property
    def named(self) -> list[RetentionPreview]:
        return self.expiring[:MAX_NAMES]

    @property
    def unnamed_count(self) -> int:
        return max(0, len(self.expiring) - MAX_NAMES)

    @property
    def backup_count(self) -> int:
        return len(self.preview.would_keep) + len(self.expiring) if self.preview else 0


def preview_schedule(
    typed: Mapping[str, Any], policy: BackupPolicy | None = None
) -> SchedulePreview:
    form = ScheduleForm(typed)
    if not form.is_valid():
        return SchedulePreview(form=form)
    given = form.cleaned_data
    try:
        result = preview(PolicySpec(**given), policy=policy, count=REACH_SAMPLE_RUNS)
    except InvalidArgument as error:
        add_errors(form, error)
        return SchedulePreview(form=form)
    return SchedulePreview(
        form=form, preview=result, zone=given["timezone"], count=given["retention_count"]
    )


def in_words(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    for unit, size in (("year", 8766), ("month", 730.5), ("day", 24), ("hour", 1)):
        if hours >= 2 * size:
            return f"{round(hours / size):,} {unit}s"
    return f"{max(1, round(hours * 60))} minutes"


@lru_cache(maxsize=1)
def zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(UNLISTED))
