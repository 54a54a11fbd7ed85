"""When a worker says of itself that it takes messages."""

from __future__ import annotations

import threading
import time

import pytest

from tests.live import wait_for
from vbase_console.tasks import consumption
from vbase_console.tasks.consumption import STALLED_AFTER_SECONDS, STEADY_AFTER_SECONDS, Report
from vbase_console.tasks.models import Heartbeat


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that `time.monotonic` tells there."""
    now = [1000.0]
    monkeypatch.setattr(consumption.time, "monotonic", lambda: now[0])
    return now


def test_it_takes_messages_once_the_broker_has_let_it_for_a_while(clock: list[float]) -> None:
    report = Report("worker:1")
    assert not report.is_consuming()
    report.begin()
    assert not report.is_consuming()
    clock[0] += STEADY_AFTER_SECONDS
    assert report.is_consuming()


def test_one_that_reconnects_all_the_time_takes_none(clock: list[float]) -> None:
    report = Report("worker:1")
    for _ in range(100):
        report.begin()
        clock[0] += STEADY_AFTER_SECONDS / 2
        assert not report.is_consuming()


def test_one_whose_event_loop_stands_still_takes_none(clock: list[float]) -> None:
    report = Report("worker:1")
    report.begin()
    for _ in range(100):
        clock[0] += 1
        report.tick()
    assert report.is_consuming()
    clock[0] += STALLED_AFTER_SECONDS + 1
    assert not report.is_consuming()


def test_its_row_says_so_and_goes_when_it_ends(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "CHECK_EVERY_SECONDS", 0.05)
    report = Report("worker:1")
    thread = threading.Thread(target=report.run)
    thread.start()
    report.begin()
    report.consuming_since = time.monotonic() - STEADY_AFTER_SECONDS
    row = Heartbeat.objects.filter(part="worker:1")
    wait_for(row.filter(is_working=True).exists)
    report.consuming_since = None
    wait_for(row.filter(is_working=False).exists)
    report.ended.set()
    thread.join()
    assert not row.exists()
