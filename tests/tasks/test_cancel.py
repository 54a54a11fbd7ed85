"""Cancelling is a request; the job stops at its next safe point and cleans up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tasks.trials import KIND, Trial, again, begun, end_lease, end_pause
from vbase_console.core.errors import FailedPrecondition
from vbase_console.tasks import registry
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]


class Builder:
    """A job that builds something and, when it is cancelled, takes it away again."""

    def __init__(self) -> None:
        self.built = False
        self.cleaning_fails = 0
        self.during: Callable[[], object] = lambda: None

    def __call__(self, attempt: Attempt) -> None:
        try:
            attempt.safe_point()
            self.built = True
            self.during()
            attempt.report(50, "building", "Builds.")
            attempt.renew()
            attempt.safe_point()
        except JobCancelled:
            self._clean()
            raise

    def _clean(self) -> None:
        if self.cleaning_fails:
            self.cleaning_fails -= 1
            raise JobFailed("it cannot be removed now.", permanent=False)
        self.built = False


@pytest.fixture
def builder(trial: Trial) -> Builder:
    trial.run = Builder()
    return trial.run


def test_a_waiting_task_ends_at_once(ask: Ask, trial: Trial) -> None:
    task = request_cancel(ask(), by="alice")
    assert (task.state, task.message) == ("CANCELLED", "Cancelled by alice before the start.")
    run_task(task.task_id)
    assert trial.attempts == []


def test_the_next_in_line_is_free_when_a_waiting_one_is_cancelled(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    request_cancel(first, by="alice")
    assert Task.objects.ready().get() == second
    assert again(second).woken_at is None


def test_a_running_task_stops_at_its_next_safe_point_and_cleans_up(
    ask: Ask, builder: Builder
) -> None:
    task = ask()
    builder.during = lambda: request_cancel(task, by="alice")
    run_task(task.task_id)
    assert (again(task).state, builder.built) == ("CANCELLED", False)


def test_a_job_that_was_at_its_end_succeeds_all_the_same(ask: Ask, trial: Trial) -> None:
    task = ask()
    trial.run = lambda attempt: request_cancel(task, by="alice") and None
    run_task(task.task_id)
    assert again(task).state == "SUCCEEDED"


def test_a_task_that_pauses_is_taken_up_once_more_to_clean_up(ask: Ask, builder: Builder) -> None:
    task = ask()
    builder.during = _fail_once()
    run_task(task.task_id)
    assert (again(task).state, builder.built) == ("PENDING", True)
    assert request_cancel(task, by="alice").state == "PENDING"
    run_task(task.task_id)
    assert (again(task).state, builder.built) == ("CANCELLED", False)


def test_a_task_that_pauses_is_dropped_for_a_caller_who_removes_everything(
    ask: Ask, builder: Builder
) -> None:
    task = ask()
    builder.during = _fail_once()
    run_task(task.task_id)
    assert request_cancel(task, by="alice", clean_up=False).state == "CANCELLED"


def test_cleaning_up_is_tried_again_with_the_lock_in_hand(ask: Ask, builder: Builder) -> None:
    task, following = ask(lock="here"), ask(lock="here")
    builder.during = lambda: request_cancel(task, by="alice")
    builder.cleaning_fails = 1
    run_task(task.task_id)
    assert (again(task).state, again(task).holds_lock) == ("CANCELLING", True)
    assert "Next attempt in" in again(task).message
    run_task(following.task_id)
    assert again(following).epoch == 0
    end_lease(task)
    run_task(task.task_id)
    assert (again(task).state, builder.built) == ("CANCELLED", False)


def test_who_takes_over_from_the_dead_goes_on_cancelling(ask: Ask, builder: Builder) -> None:
    task = ask()
    begun(task)
    builder.built = True
    request_cancel(task, by="alice")
    end_lease(task)
    run_task(task.task_id)
    assert (again(task).state, builder.built) == ("CANCELLED", False)


def test_a_request_between_the_look_and_the_claim_is_not_lost(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claimer has read a pausing task, then the task is cancelled, then the claimer writes."""
    task = ask()
    begun(task).retry_later("Passing.")
    end_pause(task)
    read = Task.objects.select_related("organization").get(pk=task.pk)
    request_cancel(task, by="alice")
    monkeypatch.setattr("vbase_console.tasks.attempts._begin", _begin_with(read))
    assert begun(task).cancel_requested.is_set()


def test_asking_twice_is_asking_once(ask: Ask) -> None:
    task = ask()
    begun(task)
    request_cancel(task, by="alice")
    assert request_cancel(task, by="bob").state == "CANCELLING"


def test_what_has_ended_cannot_be_cancelled(ask: Ask) -> None:
    task = ask()
    begun(task).succeed()
    with pytest.raises(FailedPrecondition, match=f"{task.task_id} has already ended: SUCCEEDED"):
        request_cancel(task, by="alice")


def test_what_can_only_go_forward_is_refused(
    ask: Ask, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._jobs, KIND, trial.job(cancellable=False))
    with pytest.raises(FailedPrecondition, match="cannot be undone"):
        request_cancel(ask(), by="alice")


def _fail_once() -> Callable[[], None]:
    errors = [JobFailed("the disk was full.", permanent=False)]

    def fail() -> None:
        if errors:
            raise errors.pop()

    return fail


def _begin_with(read: Task) -> Callable[..., Attempt | None]:
    from vbase_console.tasks import attempts

    begin = attempts._begin
    return lambda task, worker, since: begin(read, worker, since)
