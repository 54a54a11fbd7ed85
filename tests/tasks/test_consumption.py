"""When a worker says of itself that it takes messages."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest
from celery import Celery

from tests.live import wait_for
from vbase_console.tasks import consumption
from vbase_console.tasks.consumption import (
    STALLED_AFTER_SECONDS,
    STEADY_AFTER_SECONDS,
    STUCK_AFTER_SECONDS,
    BrokerProbe,
    Report,
)
from vbase_console.tasks.models import Heartbeat


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that `time.monotonic` tells there."""
    now = [1000.0]
    monkeypatch.setattr(consumption.time, "monotonic", lambda: now[0])
    return now


def test_it_takes_messages_once_the_broker_has_let_it_for_a_while(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    assert not report.is_consuming()
    report.begin()
    assert not report.is_consuming()
    clock[0] += STEADY_AFTER_SECONDS
    assert report.is_consuming()


def test_one_that_reconnects_all_the_time_takes_none(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    for _ in range(100):
        report.begin()
        clock[0] += STEADY_AFTER_SECONDS / 2
        assert not report.is_consuming()


def test_one_whose_event_loop_stands_still_takes_none(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    report.begin()
    for _ in range(100):
        clock[0] += 1
        report.tick()
    assert report.is_consuming()
    clock[0] += STALLED_AFTER_SECONDS + 1
    assert not report.is_consuming()


def _is_stuck_within(report: Report, clock: list[float], seconds: float) -> bool:
    end = clock[0] + seconds
    while clock[0] < end:
        clock[0] += 1
        if report.is_stuck():
            return True
    return False


def test_a_worker_that_lost_a_broker_which_answers_is_stuck(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    report.begin()
    report.consuming_since = None
    assert not _is_stuck_within(report, clock, STUCK_AFTER_SECONDS - 1)
    assert _is_stuck_within(report, clock, 10)


def test_a_worker_whose_event_loop_stands_still_is_stuck(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    report.begin()
    assert _is_stuck_within(report, clock, STALLED_AFTER_SECONDS + STUCK_AFTER_SECONDS + 10)


def test_a_worker_waits_as_long_as_its_broker_does_not_answer(clock: list[float]) -> None:
    answers = False
    report = Report("worker:1", lambda: answers)
    report.begin()
    report.consuming_since = None
    assert not _is_stuck_within(report, clock, 100 * STUCK_AFTER_SECONDS)
    answers = True
    assert not _is_stuck_within(report, clock, STUCK_AFTER_SECONDS - 1)
    report.begin()
    assert not _is_stuck_within(report, clock, STEADY_AFTER_SECONDS + STALLED_AFTER_SECONDS)


def test_a_worker_that_the_broker_refuses_again_and_again_is_not_stuck(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    for _ in range(100):
        report.begin()
        report.consuming_since = None
        assert not _is_stuck_within(report, clock, 5)


def test_a_broker_that_accepts_connections_and_says_nothing_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumption, "BROKER_ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = Celery(broker=f"amqp://127.0.0.1:{silent.getsockname()[1]}")
        probe = BrokerProbe(app)
        assert [probe.answers(), probe.answers()] == [False, False]


def test_a_worker_that_still_starts_is_not_stuck(clock: list[float]) -> None:
    report = Report("worker:1", lambda: True)
    assert not _is_stuck_within(report, clock, 10 * STUCK_AFTER_SECONDS)


def test_a_stuck_worker_ends(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    report = Report("worker:1", lambda: True)
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        report.ended.set()

    monkeypatch.setattr(consumption.os, "_exit", end)
    monkeypatch.setattr(consumption.logging, "shutdown", lambda: None)
    monkeypatch.setattr(consumption, "CHECK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(consumption, "STUCK_AFTER_SECONDS", 0.05)
    report.begin()
    report.consuming_since = None
    thread = threading.Thread(target=report.run)
    thread.start()
    thread.join()
    assert statuses == [os.EX_UNAVAILABLE]
    assert "the process ends, so that its supervisor starts another" in caplog.text


def test_its_row_says_so_and_goes_when_it_ends(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "CHECK_EVERY_SECONDS", 0.05)
    report = Report("worker:1", lambda: True)
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
