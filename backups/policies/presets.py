"""Usual schedules with a name, for forms. A policy stores only the cron expression."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchedulePreset:
    label: str
    schedule_cron: str
    retention_count: int
    """Backups to keep if the user does not choose a number."""


PRESETS = {
    "hourly": SchedulePreset(label="Hourly", schedule_cron="0 * * * *", retention_count=24),
    "six_hourly": SchedulePreset(
        label="Every 6 hours", schedule_cron="0 */6 * * *", retention_count=28
    ),
    "daily": SchedulePreset(label="Daily at 03:00", schedule_cron="0 3 * * *", retention_count=7),
    "weekdays": SchedulePreset(
        label="Weekdays at 03:00", schedule_cron="0 3 * * 1-5", retention_count=10
    ),
    "weekly": SchedulePreset(
        label="Sundays at 03:00", schedule_cron="0 3 * * 0", retention_count=8
    ),
    "monthly": SchedulePreset(
        label="Monthly, on the 1st at 03:00", schedule_cron="0 3 1 * *", retention_count=12
    ),
}
DAILY, CUSTOM = "daily", "custom"


def preset_of(schedule_cron: str) -> str:
    """Return the key of the preset with this schedule, or CUSTOM."""
    text = " ".join(schedule_cron.split())
    keys = (key for key, preset in PRESETS.items() if preset.schedule_cron == text)
    return next(keys, CUSTOM)
