"""Every move that the table allows can be made; no other one can. Each leaves an event."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from django.db import IntegrityError

from tests.tasks.trials import again, begun, end_lease, end_pause
from vbase_console.core.errors import FailedPrecondition
from vbase_console.tasks.attempts import Attempt, claim
from vbase_console.tasks.errors import LeaseLost
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.states import ACTIVE, FINISHED, LEASED, TRANSITIONS, TaskState

S = TaskState
Ask = Callable[..., Task]
Move = Callable[[Task, Attempt | None], object]


def brought_to(state: TaskState, task: Task) -> Attempt | None:
    """The task in that state, by the ways that there are; and its attempt, if it has one."""
    if state is S.PENDING:
        return None
    attempt = begun(task)
    if state in (S.CANCELLING, S.CANCELLED):
        request_cancel(task, by="alice")
    ends = {S.SUCCEEDED: attempt.succeed, S.CANCELLED: attempt.cancel}
    ends.get(state, lambda: None)()
    if state is S.FAILED:
        attempt.fail("Broken.")
    return attempt


def take_up(task: Task, attempt: Attempt | None) -> object:
    if attempt:
        end_lease(task)
    return claim(task.task_id, worker="next")


def take_up_to_stop(task: Task, attempt: Attempt | None) -> object:
    """If the task pauses, the changes of its earlier attempts are undone first."""
    if attempt is None:
        begun(task).retry_later("Passing.")
        request_cancel(task, by="alice")
        return claim(task.task_id, worker="next")
    if again(task).state == S.CANCELLING:
        return take_up(task, attempt)
    return request_cancel(task, by="alice")


def of_attempt(name: str, *arguments: str) -> Move:
    return lambda task, attempt: getattr(attempt, name)(*arguments) if attempt else None


def pause_while_undoing(task: Task, attempt: Attempt | None) -> None:
    if attempt:
        attempt.begin_undoing("Broken.")
        attempt.retry_later("The undo failed.")


MOVES: dict[TaskState, list[Move]] = {
    S.PENDING: [of_attempt("begin_undoing", "Broken."), of_attempt("retry_later", "Passing.")],
    S.RUNNING: [take_up],
    S.CANCELLING: [take_up_to_stop],
    S.SUCCEEDED: [of_attempt("succeed")],
    S.FAILED: [of_attempt("fail", "Broken.")],
    S.CANCELLED: [
        of_attempt("cancel"),
        lambda task, attempt: None if attempt else request_cancel(task, by="alice"),
    ],
}
LEGAL = [(source, target) for source, targets in TRANSITIONS.items() for target in targets]
ILLEGAL = sorted(set(product(S, S)) - set(LEGAL))


def try_all(target: TaskState, task: Task, attempt: Attempt | None) -> None:
    for move in MOVES[target]:
        try:
            move(task, attempt)
        except (LeaseLost, FailedPrecondition):
            continue


@pytest.mark.parametrize(("source", "target"), sorted(LEGAL))
def test_a_legal_move_is_made_and_leaves_an_event(
    ask: Ask, source: TaskState, target: TaskState
) -> None:
    task = ask(lock="here")
    attempt = brought_to(source, task)
    events = task.events.count()
    try_all(target, task, attempt)
    assert again(task).state == target
    assert task.events.count() > events


@pytest.mark.parametrize(("source", "target"), ILLEGAL)
def test_an_illegal_move_is_not_made(ask: Ask, source: TaskState, target: TaskState) -> None:
    task = ask(lock="here")
    attempt = brought_to(source, task)
    if (source, target) == (S.CANCELLING, S.RUNNING):
        end_lease(task)
    try_all(target, task, attempt)
    assert again(task).state != target or source is target


@pytest.mark.parametrize("state", FINISHED)
def test_an_end_is_an_end(state: TaskState) -> None:
    assert TRANSITIONS[state] == frozenset()


def test_the_named_sets_say_what_the_table_says() -> None:
    assert set(ACTIVE) == {state for state, targets in TRANSITIONS.items() if targets}
    assert set(ACTIVE) | set(FINISHED) == set(S)
    assert set(LEASED) == set(ACTIVE) - {S.PENDING}


def test_the_database_knows_no_other_state(ask: Ask) -> None:
    task = ask()
    with pytest.raises(IntegrityError):
        Task.objects.filter(pk=task.pk).update(state="SLEEPING")


def test_the_database_keeps_a_lock_only_for_a_task_that_runs(ask: Ask) -> None:
    task = ask(lock="here")
    with pytest.raises(IntegrityError):
        Task.objects.filter(pk=task.pk).update(holds_lock=True)


def test_a_task_that_paused_runs_again(ask: Ask) -> None:
    task = ask()
    begun(task).retry_later("Passing.")
    assert claim(task.task_id, worker="w") is None
    end_pause(task)
    assert begun(task).task.state == S.RUNNING
