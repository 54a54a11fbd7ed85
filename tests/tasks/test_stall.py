"""A job that makes no progress ends, instead of holding its worker for ever."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.tasks.trials import Trial, again, begun
from vbase_console.tasks import worker
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import end_process, renew_until, run_task

Ask = Callable[..., Task]


@pytest.fixture(autouse=True)
def _no_patience(settings: Any) -> None:
    settings.TASK_STALL_SECONDS = 0


def test_a_report_that_repeats_the_last_one_fails_the_attempt_after_a_while(ask: Ask) -> None:
    attempt = begun(ask())
    attempt.report(10, "indexing", "Indexed 5 of 10 rows.")
    with pytest.raises(JobFailed, match="No progress"):
        attempt.report(10, "indexing", "Indexed 5 of 10 rows.")


def test_a_report_with_another_number_is_progress(ask: Ask) -> None:
    attempt = begun(ask())
    for done in range(5):
        attempt.report(10, "indexing", f"Indexed {done} of 10 rows.")


def test_a_job_on_a_server_that_never_finishes_fails_after_its_attempts(
    ask: Ask, trial: Trial, settings: Any
) -> None:
    settings.TASK_ATTEMPTS = 2

    def poll(attempt: Attempt) -> None:
        for _ in itertools.count():
            attempt.report(10, "indexing", "Indexed 5 of 10 rows.")

    trial.run = poll
    task = ask()
    run_task(task.task_id)
    assert again(task).message.startswith("While indexing: No progress for 0 hours.")
    Task.objects.update(not_before=task.created_at)
    run_task(task.task_id)
    assert (again(task).state, trial.attempts) == ("FAILED", [1, 2])


def test_a_job_that_does_not_notice_it_has_its_process_ended(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.LEASE_SECONDS = 0.3
    monkeypatch.setattr(worker, "STALL_GRACE_SECONDS", -1.0)
    ended: list[str] = []
    attempt, stop = begun(ask()), threading.Event()
    monkeypatch.setattr(worker, "end_process", lambda task_id: stop.set() or ended.append(task_id))
    renew_until(attempt, stop)
    assert ended == [attempt.task.task_id]


def test_a_job_that_saves_what_it_has_done_is_let_alone(ask: Ask, settings: Any) -> None:
    settings.TASK_STALL_SECONDS = 3600
    attempt = begun(ask())
    attempt._advanced_at = time.monotonic() - 7200
    assert attempt.seconds_without_advance > settings.TASK_STALL_SECONDS
    attempt.save_checkpoint(done=1)
    assert attempt.seconds_without_advance < settings.TASK_STALL_SECONDS


def test_the_process_ends_while_its_thread_waits() -> None:
    process = multiprocessing.get_context("fork").Process(target=_wait_for_ever, daemon=True)
    process.start()
    process.join(30)
    assert process.exitcode == os.EX_UNAVAILABLE


def _wait_for_ever() -> None:
    threading.Thread(target=end_process, args=("task-1",)).start()
    threading.Event().wait()
