"""Progress is work done: it never falls, is written about once a second, and 100 means success."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from tests.tasks.trials import again, begun, end_pause
from vbase_console.tasks import attempts
from vbase_console.tasks.errors import JobCancelled
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import request_cancel

Ask = Callable[..., Task]


@pytest.fixture
def _unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "REPORT_INTERVAL_SECONDS", 0)


@pytest.mark.usefixtures("_unthrottled")
def test_it_never_falls_and_leaves_the_hundred_to_success(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    shown = []
    for percent in (10, 40, 20, 100, 30):
        attempt.report(percent, "copying", "Copies.")
        shown.append(again(task).progress)
    assert shown == [10, 40, 40, 99, 99]


@pytest.mark.usefixtures("_unthrottled")
def test_it_does_not_fall_from_one_attempt_to_the_next(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    attempt.report(60, "copying", "Copies.")
    attempt.retry_later("Passing.")
    end_pause(task)
    begun(task).report(5, "copying", "Copies again.")
    assert again(task).progress == 60


def test_a_thousand_reports_within_a_second_are_a_handful_of_writes(ask: Ask) -> None:
    attempt = begun(ask())
    with CaptureQueriesContext(connection) as queries:
        for percent in range(1000):
            attempt.report(percent // 10, "copying", "Copies.")
    writes = [query for query in queries if "UPDATE" in query["sql"]]
    assert 1 <= len(writes) <= 10


def test_a_new_phase_is_written_at_once(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    attempt.report(10, "copying", "Copies.")
    attempt.report(50, "indexing", "Builds indexes.")
    assert (again(task).phase, again(task).progress) == ("indexing", 50)


def test_a_report_that_is_not_written_still_meets_a_request_to_stop(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    attempt.report(10, "copying", "Copies.")
    request_cancel(task, by="alice")
    attempt.renew()
    with pytest.raises(JobCancelled):
        attempt.report(11, "copying", "Copies.")


def test_the_database_refuses_success_without_a_hundred(ask: Ask) -> None:
    task = ask()
    with pytest.raises(IntegrityError):
        Task.objects.filter(pk=task.pk).update(state="SUCCEEDED", progress=99)
