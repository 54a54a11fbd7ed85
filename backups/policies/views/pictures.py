"""Pictures of a policy: its latest runs, and what retention keeps as a time line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from backups.policies.cron import BadCron, BadZone, parse, zone_of
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.outcomes import cell_class, run_summary
from backups.policies.projection import Projection, project
from backups.policies.states import RetentionOutcome
from backups.policies.views.presenters import BackupWithDecision
from vbase_console.core.quantities import duration_text, size_text
from vbase_console.web import charts

MARGIN = timedelta(hours=1)
MAX_POINTS = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunCharts:
    """Duration and size of the latest runs, the oldest first. A run without either is a gap."""

    duration: charts.ColumnChart
    size: charts.ColumnChart
    count: int
    times: tuple[datetime, datetime] | None
    """Planned times of the first and the last run, if the columns fill the picture."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionTimeline:
    segments: Sequence[charts.Segment]
    labels: Sequence[charts.TimeLabel]
    oldest: datetime
    kept_count: int


def run_charts_of(strip: Sequence[PolicyRun]) -> RunCharts | None:
    durations = [_seconds(run) for run in strip]
    sizes = [_size(run) for run in strip]
    if not any(durations):
        return None
    return RunCharts(
        duration=charts.column_chart(
            [_column(run, value) for run, value in zip(strip, durations, strict=True)],
            text_of=duration_text,
        ),
        size=charts.column_chart(
            [_column(run, value) for run, value in zip(strip, sizes, strict=True)],
            text_of=size_text,
            base=1024,
        ),
        count=len(strip),
        times=(strip[0].planned_at, strip[-1].planned_at)
        if len(strip) >= charts.MIN_COLUMNS
        else None,
    )


def _column(run: PolicyRun, value: float) -> charts.Column:
    return charts.Column(parts=[(value, f"bar-{cell_class(run)}", run_summary(run))])


def _seconds(run: PolicyRun) -> float:
    task = run.job.task if run.job else None
    if task is None or task.started_at is None or task.finished_at is None:
        return 0.0
    return max(0.0, (task.finished_at - task.started_at).total_seconds())


def _size(run: PolicyRun) -> float:
    return float(run.job.backup.size_bytes or 0) if run.job else 0.0


def retention_timeline_of(
    entries: Sequence[BackupWithDecision], now: datetime
) -> RetentionTimeline | None:
    """Return the backups as instants that can be restored, those that retention keeps first."""
    if not entries:
        return None
    oldest = min(entry.backup.created_at for entry in entries)
    begin, end = oldest - MARGIN, now + MARGIN
    segments = [
        charts.segment(
            entry.backup.created_at,
            entry.backup.created_at,
            within=(begin, end),
            css_class=_class_of(entry),
            title=f"{entry.backup.created_at:%Y-%m-%d %H:%M} UTC, {entry.backup.name}: "
            f"{entry.decision.reason}",
            least=0.6,
        )
        for entry in entries[:MAX_POINTS]
    ]
    return RetentionTimeline(
        segments=segments,
        labels=charts.time_labels(begin, end),
        oldest=oldest,
        kept_count=sum(entry.outcome == RetentionOutcome.KEEP for entry in entries),
    )


def _class_of(entry: BackupWithDecision) -> str:
    if entry.backup.is_damaged:
        return "bar-bad"
    return "bar-good" if entry.outcome == RetentionOutcome.KEEP else "bar-still"


def projection_of(
    policy: BackupPolicy, existing: Sequence[datetime], *, now: datetime, at: datetime
) -> Projection | None:
    """Return None for a schedule that is paused or not valid any more, or with too many runs."""
    try:
        cron, zone = parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone):
        return None
    if not policy.is_active:
        return None
    count = policy.retention_count
    return project(cron, zone, existing=existing, retention_count=count, now=now, at=at)
