"""Ends of an attempt, and the attempts that follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import OperationalError

from tests.tasks.trials import Trial, again, end_lease, end_pause, history
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]


def failing(error: Exception) -> Callable[[Attempt], None]:
    def run(attempt: Attempt) -> None:
        attempt.report(30, "copying", "Copies part 3 of 10.")
        raise error

    return run


def run_until_it_rests(task: Task) -> Task:
    """Attempt after attempt, without the pauses between them."""
    for _ in range(20):
        end_pause(task)
        run_task(task.task_id)
    return again(task)


def test_it_succeeds_with_a_hundred_percent(ask: Ask, trial: Trial) -> None:
    task = ask()
    run_task(task.task_id)
    done = again(task)
    assert (done.state, done.progress, done.message) == ("SUCCEEDED", 100, "Done.")
    assert done.finished_at is not None


def test_a_permanent_error_fails_it_now_and_says_what_was_being_done(
    ask: Ask, trial: Trial
) -> None:
    trial.run = failing(JobFailed("the disk is full.", permanent=True))
    failed = run_until_it_rests(ask())
    assert (failed.state, trial.attempts) == ("FAILED", [1])
    assert failed.message == "While copying: the disk is full."
    assert failed.progress == 30


def test_a_passing_error_is_tried_again_after_a_pause(ask: Ask, trial: Trial) -> None:
    trial.run = failing(JobFailed("nobody answered.", permanent=False))
    task = ask()
    run_task(task.task_id)
    paused = again(task)
    assert (paused.state, paused.holds_lock, paused.lease_until) == ("PENDING", False, None)
    assert paused.not_before > paused.updated_at
    assert "While copying: nobody answered. Next attempt in" in paused.message


def test_the_next_try_waits_for_a_sweep_and_says_so(
    ask: Ask, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    monkeypatch.setattr(settings, "SWEEP_SECONDS", 10)
    trial.run = failing(JobFailed("nobody answered.", permanent=False))
    task = ask()
    run_task(task.task_id)
    assert "Next attempt in 2 to 12 s." in again(task).message


def test_the_pauses_double_and_are_bounded(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    pauses = []
    for epoch in (1, 2, 3, 9):
        attempt = Attempt(_leased(ask(), epoch), since=float("inf"))
        attempt.retry_later("Passing.")
        pauses.append(round((attempt.task.not_before - attempt.task.updated_at).total_seconds()))
    assert pauses == [2, 4, 8, 60]


def test_the_pauses_stay_short_while_clients_wait(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    attempt = Attempt(_leased(ask(), 9), since=float("inf"))
    attempt.save_checkpoint(held_at=1)
    attempt.retry_later("Passing.")
    assert round((attempt.task.not_before - attempt.task.updated_at).total_seconds()) == 2


def _leased(task: Task, epoch: int) -> Task:
    run = Task.objects.filter(pk=task.pk)
    run.update(state="RUNNING", epoch=epoch, lease_until="2999-01-01T00:00:00Z")
    return run.get()


def test_passing_errors_are_bounded(ask: Ask, trial: Trial) -> None:
    trial.run = failing(JobFailed("nobody answered.", permanent=False))
    failed = run_until_it_rests(ask())
    assert failed.state == "FAILED"
    assert trial.attempts == list(range(1, settings.TASK_ATTEMPTS + 1))
    assert failed.message == "While copying: nobody answered."


def test_what_a_server_says_is_kept_whatever_characters_it_quotes(ask: Ask, trial: Trial) -> None:
    def run(attempt: Attempt) -> None:
        attempt.warn("Key 'a\0b' is odd.")
        attempt.report(30, "copying", "Copies 'a\0b'.")
        raise JobFailed("key 'a\0b' is too long.", permanent=True)

    trial.run = run
    failed = run_until_it_rests(ask())
    assert failed.message == r"While copying: key 'a\0b' is too long."
    assert failed.warnings == [r"Key 'a\0b' is odd."]


def test_an_error_that_nobody_foresaw_is_looked_at_three_times(ask: Ask, trial: Trial) -> None:
    trial.run = failing(ZeroDivisionError("a secret of the code"))
    failed = run_until_it_rests(ask())
    assert (failed.state, trial.attempts) == ("FAILED", [1, 2, 3])
    assert "Unexpected ZeroDivisionError" in failed.message
    assert "secret" not in failed.message


def test_a_database_that_does_not_answer_is_a_passing_error(ask: Ask, trial: Trial) -> None:
    trial.run = failing(OperationalError("database is locked"))
    task = ask()
    run_task(task.task_id)
    assert again(task).state == "PENDING"
    assert "database did not answer" in again(task).message


def test_workers_that_keep_dying_do_not_take_it_up_for_ever(ask: Ask, trial: Trial) -> None:
    task = ask()
    Task.objects.filter(pk=task.pk).update(epoch=settings.TASK_ATTEMPTS)
    run_task(task.task_id)
    assert again(task).state == "FAILED"
    assert "Given up after" in again(task).message
    assert trial.attempts == []


def test_the_end_and_what_it_means_become_true_together(ask: Ask, trial: Trial) -> None:
    def cannot(task: Task) -> None:
        raise OperationalError("the other row is locked")

    trial.settle = cannot
    task = ask()
    with pytest.raises(OperationalError):
        run_task(task.task_id)
    assert again(task).state == "RUNNING"


def test_every_end_is_settled_once(ask: Ask, trial: Trial) -> None:
    run_task(ask().task_id)
    request_cancel(ask(), by="alice")
    trial.run = failing(JobFailed("no.", permanent=True))
    run_task(ask().task_id)
    assert trial.settled == ["SUCCEEDED", "CANCELLED", "FAILED"]


def test_the_history_tells_it_all(ask: Ask, trial: Trial) -> None:
    trial.run = failing(JobFailed("nobody answered.", permanent=False))
    task = ask()
    run_task(task.task_id)
    end_pause(task)
    trial.run = lambda attempt: None
    run_task(task.task_id)
    accepted, started, copies, pauses, restarted, done = history(task)
    assert (accepted, started, done) == ("Requested by alice.", "Started.", "Done.")
    assert copies == "Copies part 3 of 10."
    assert restarted == "Started."
    assert "Next attempt" in pauses


def test_a_takeover_goes_on_from_the_progress_that_was_reached(ask: Ask, trial: Trial) -> None:
    task = ask()
    trial.run = failing(SystemExit())
    with pytest.raises(SystemExit):
        run_task(task.task_id)
    end_lease(task)
    seen: list[int] = []

    def look(attempt: Attempt) -> None:
        attempt.report(5, "copying", "Copies part 1 of 10.")
        seen.append(again(task).progress)

    trial.run = look
    run_task(task.task_id)
    assert seen == [30]
