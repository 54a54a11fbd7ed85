from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from vbase_console.core import batch_delete
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.sweeps import sweep_housekeeping

Ask = Callable[..., Task]


@pytest.fixture
def old_events(ask: Ask, settings: object) -> Task:
    """Twenty-five events from before the time that is kept, and one from now."""
    task = ask()
    events = [TaskEvent(task=task, epoch=0, state="PENDING", progress=0) for _ in range(25)]
    rows = TaskEvent.objects.bulk_create(events)
    long_ago = timezone.now() - timedelta(days=401)
    TaskEvent.objects.filter(pk__in=[row.pk for row in rows]).update(at=long_ago)
    return task


def test_it_removes_events_past_their_time_and_keeps_the_rest(old_events: Task) -> None:
    assert sweep_housekeeping() == 25
    assert old_events.events.count() == 1


def test_it_goes_in_batches(old_events: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_delete, "BATCH_SIZE", 10)
    monkeypatch.setattr(batch_delete, "MAX_BATCHES", 2)
    assert sweep_housekeeping() == 20
    assert sweep_housekeeping() == 5


def test_the_task_itself_stays(old_events: Task) -> None:
    sweep_housekeeping()
    assert Task.objects.filter(pk=old_events.pk).exists()


def test_how_long_is_a_setting(old_events: Task, settings: object) -> None:
    settings.TASK_HISTORY_DAYS = 500  # type: ignore[attr-defined]
    assert sweep_housekeeping() == 0
