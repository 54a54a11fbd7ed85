"""Phases of a task as a time line, from its events."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from vbase_console.core.quantities import duration_text
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import TaskState
from vbase_console.web import charts

MAX_PHASES = 50
LOOKS = 5
ROW_PHASES = ("copying", "inserting")
"""Phases whose rate of rows is shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseSpan:
    name: str
    attempt: int
    begin: datetime
    end: datetime
    css_class: str
    rows_per_second: int | None

    @property
    def seconds(self) -> float:
        return max(0.0, (self.end - self.begin).total_seconds())

    @property
    def duration(self) -> str:
        return duration_text(self.seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseTimeline:
    spans: Sequence[PhaseSpan]
    segments: Sequence[charts.Segment]
    labels: Sequence[charts.TimeLabel]
    has_attempts: bool
    has_rates: bool
    is_unfinished: bool

    @property
    def title(self) -> str:
        listed = ", ".join(f"{span.name} {span.duration}" for span in self.spans)
        return f"Phases over time: {listed}"


def phase_timeline_of(
    task: Task, events: Sequence[TaskEvent], *, rows: int | None = None
) -> PhaseTimeline | None:
    """Return one span for each phase of each attempt. None before the first attempt.

    The rate of rows is that of a finished phase that moved all `rows` in one attempt.
    """
    spans = _spans(task, events, rows)[:MAX_PHASES]
    if len(spans) < 2 and task.epoch == 0:
        return None
    begin, end = spans[0].begin, max(span.end for span in spans)
    within = (begin, max(end, begin + timedelta(seconds=1)))
    segments = [
        charts.segment(
            span.begin,
            span.end,
            within=within,
            css_class=span.css_class,
            title=f"{span.name.capitalize()}, attempt {span.attempt}: {span.duration}"
            if span.attempt
            else f"{span.name.capitalize()}: {span.duration}",
        )
        for span in spans
    ]
    return PhaseTimeline(
        spans=spans,
        segments=segments,
        labels=charts.time_labels(*within),
        has_attempts=any(span.attempt > 1 for span in spans),
        has_rates=any(span.rows_per_second for span in spans),
        is_unfinished=task.finished_at is None,
    )


def _spans(task: Task, events: Sequence[TaskEvent], rows: int | None) -> list[PhaseSpan]:
    """Merge the events of a phase. A phase ends when the next one begins."""
    begins: list[tuple[str, int, datetime]] = [("waiting", 0, task.created_at)]
    for event in events:
        name = event.phase or ("waiting" if event.state == TaskState.PENDING else "")
        if not name or event.is_the_end:
            continue
        if (name, event.epoch) != begins[-1][:2]:
            begins.append((name, event.epoch, event.at))
    if len(begins) == 1 and task.started_at:  # the phases are unknown
        begins.append(("running", 1, task.started_at))
    ends = [at for _, _, at in begins[1:]] + [task.finished_at or timezone.now()]
    attempts = Counter(name for name, _, _ in begins)
    names = list(dict.fromkeys(name for name, _, _ in begins if name != "waiting"))
    return [
        PhaseSpan(
            name=name,
            attempt=attempt,
            begin=begin,
            end=end,
            css_class="series-6"
            if name == "waiting"
            else f"series-{names.index(name) % LOOKS + 1}",
            rows_per_second=_rate(rows, begin, end)
            if name in ROW_PHASES and attempts[name] == 1
            else None,
        )
        for (name, attempt, begin), end in zip(begins, ends, strict=True)
    ]


def _rate(rows: int | None, begin: datetime, end: datetime) -> int | None:
    seconds = (end - begin).total_seconds()
    return round(rows / seconds) if rows and seconds > 0 else None
