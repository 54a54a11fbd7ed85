"""Phases of a task as a time line, from its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.views.timeline import PhaseTimeline, phase_timeline_of
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.progress import progress_part

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def timeline(*events: tuple[float, int, str], end: float = 100, rows: int = 0) -> PhaseTimeline:
    task = Task(created_at=NOON, finished_at=after(end), epoch=1, state="SUCCEEDED")
    rows_of = [
        TaskEvent(at=after(at), epoch=epoch, phase=phase, state="RUNNING", progress=0)
        for at, epoch, phase in events
    ]
    found = phase_timeline_of(task, rows_of, rows=rows)
    assert found is not None
    return found


def test_a_phase_lasts_until_the_next_one() -> None:
    spans = timeline((10, 1, "pinning"), (15, 1, "copying"), (60, 1, "copying"), end=90).spans
    assert [(span.name, span.seconds) for span in spans] == [
        ("waiting", 10),
        ("pinning", 5),
        ("copying", 75),
    ]


def test_a_second_attempt_is_a_span_of_its_own() -> None:
    found = timeline((10, 1, "copying"), (50, 2, "copying"))
    assert [span.attempt for span in found.spans] == [0, 1, 2]
    assert found.has_attempts


def test_the_rate_of_rows_is_that_of_the_phase_that_moves_them() -> None:
    spans = timeline((0, 1, "copying"), (50, 1, "sealing"), rows=1000).spans
    assert [span.rows_per_second for span in spans] == [None, 20, None]


def test_a_phase_that_was_interrupted_has_no_rate() -> None:
    spans = timeline((0, 1, "copying"), (50, 2, "copying"), rows=1000).spans
    assert [span.rows_per_second for span in spans] == [None, None, None]


def test_a_task_that_has_not_started_has_no_time_line() -> None:
    assert phase_timeline_of(Task(created_at=NOON, state="PENDING"), []) is None


def test_a_task_without_phases_waited_until_it_started() -> None:
    task = Task(
        created_at=NOON, started_at=after(10), finished_at=after(70), epoch=1, state="SUCCEEDED"
    )
    found = phase_timeline_of(task, [])
    assert found is not None
    assert [(span.name, span.duration) for span in found.spans] == [
        ("waiting", "10 s"),
        ("running", "1 min 0 s"),
    ]


def test_every_span_is_visible() -> None:
    found = timeline((10, 1, "pinning"), (10.001, 1, "copying"), end=10_000)
    assert all(segment.width > 0 for segment in found.segments)


def running(progress: int) -> Task:
    return Task(
        task_id="task-1",
        kind="RESTART",
        state="RUNNING",
        progress=progress,
        started_at=NOON,
        updated_at=after(60),
    )


def test_the_time_left_follows_from_the_rate_so_far() -> None:
    assert "about 3 min 0 s left" in progress_part(running(25), "bar").html


def test_a_task_that_has_barely_begun_promises_nothing() -> None:
    assert "left" not in progress_part(running(1), "bar").html
