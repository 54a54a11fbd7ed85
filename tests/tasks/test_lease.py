"""An attempt that lost its lease writes nothing more and changes nothing more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.test import override_settings

from tests.tasks.trials import Trial, again, begun, end_lease
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, LeaseLost
from vbase_console.tasks.models import Task, TaskEvent, database_time_in
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.worker import renew_until, run_task

Ask = Callable[..., Task]


def fenced_write(attempt: Attempt) -> None:
    with attempt.fenced():
        Task.objects.update(message="written behind the fence")


WRITES: dict[str, Callable[[Attempt], None]] = {
    "report": lambda attempt: attempt.report(50, "working", "Half done."),
    "remember": lambda attempt: attempt.save_checkpoint(reached=7),
    "warn": lambda attempt: attempt.warn("Something is odd."),
    "release the lock": lambda attempt: attempt.release_lock(),
    "write in a fence": fenced_write,
    "succeed": lambda attempt: attempt.succeed(),
    "fail": lambda attempt: attempt.fail("Broken."),
    "be put back": lambda attempt: attempt.retry_later("Passing."),
    "guard an effect": lambda attempt: attempt.guard(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("taken_over", [True, False], ids=["after a takeover", "before one"])
def test_an_attempt_whose_lease_has_ended_cannot(
    ask: Ask, write: Callable[[Attempt], None], taken_over: bool
) -> None:
    task = ask(lock="here")
    paused = begun(task)
    end_lease(task)
    if taken_over:
        begun(task, "second")
    before = (Task.objects.values().get(pk=task.pk), TaskEvent.objects.count())
    with pytest.raises(LeaseLost):
        write(paused)
    assert (Task.objects.values().get(pk=task.pk), TaskEvent.objects.count()) == before


@override_settings(LEASE_SECONDS=0.05)
def test_a_pause_is_noticed_without_asking_the_database(ask: Ask) -> None:
    attempt = begun(ask())
    time.sleep(0.1)
    with pytest.raises(LeaseLost):
        attempt.safe_point()


class Ended(threading.Event):
    """A job that ends while the heartbeat waits; keeps how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return True


@override_settings(LEASE_SECONDS=30)
def test_the_heartbeat_beats_at_a_third_of_a_lease(ask: Ask) -> None:
    """So that one which is late, and one that does not get through, cost nothing."""
    ended = Ended()
    renew_until(begun(ask()), ended)
    assert ended.waits == [10]


def ends_within(task: Task, least: int, most: int) -> bool:
    """By the database's clock, in seconds from now."""
    bounds = (database_time_in(least), database_time_in(most))
    return Task.objects.filter(pk=task.pk, lease_until__range=bounds).exists()


@override_settings(LEASE_SECONDS=600)
def test_a_claim_lasts_as_long_as_the_setting_says(ask: Ask) -> None:
    task = ask()
    begun(task)
    assert ends_within(task, 300, 600)


@override_settings(LEASE_SECONDS=600)
def test_a_renewal_lasts_as_long_as_a_claim(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    Task.objects.filter(pk=task.pk).update(lease_until=database_time_in(60))
    attempt.renew()
    assert ends_within(task, 300, 600)


def test_the_heartbeat_carries_a_job_over_many_leases(ask: Ask, trial: Trial) -> None:
    def work_long(attempt: Attempt) -> None:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            attempt.guard()
            time.sleep(0.05)

    trial.run = work_long
    task = ask()
    with override_settings(LEASE_SECONDS=0.6):
        run_task(task.task_id)
    assert (again(task).state, again(task).epoch) == ("SUCCEEDED", 1)


def test_a_takeover_shows_in_the_very_next_guard(ask: Ask) -> None:
    task = ask()
    paused = begun(task)
    paused.guard()
    Task.objects.filter(pk=task.pk).update(epoch=2)
    with pytest.raises(LeaseLost):
        paused.guard()


def test_a_guard_hears_of_a_request_to_stop(ask: Ask) -> None:
    task = ask()
    attempt = begun(task)
    request_cancel(task, by="alice")
    attempt.guard()
    with pytest.raises(JobCancelled):
        attempt.safe_point()


def test_a_worker_that_was_overtaken_leaves_without_a_trace(ask: Ask, trial: Trial) -> None:
    task, following = ask(lock="here"), ask(lock="here")

    def be_overtaken(attempt: Attempt) -> None:
        end_lease(task)
        begun(task, "second").succeed()
        attempt.report(99, "working", "I am back.")

    trial.run = be_overtaken
    run_task(task.task_id)
    assert again(task).worker == "second"
    assert again(task).message == "Done."
    assert again(following).epoch == 0


def test_what_the_job_remembers_is_there_for_the_next_attempt(ask: Ask) -> None:
    task = ask()
    begun(task).save_checkpoint(reached=7)
    end_lease(task)
    assert begun(task).task.checkpoint["reached"] == 7


def test_a_warning_is_said_once_however_often_it_is_met(ask: Ask) -> None:
    task = ask()
    begun(task).warn("Something is odd.")
    end_lease(task)
    begun(task).warn("Something is odd.")
    assert again(task).warnings == ["Something is odd."]
