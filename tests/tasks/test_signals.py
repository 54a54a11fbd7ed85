"""`task_finished`: sent once per task, after the commit of its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.tasks.trials import Trial, again, begun
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.signals import task_finished
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]


class Receiver:
    """Notes each signal, with the state of the row that others can read by then."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bool]] = []
        self.error: Exception | None = None

    def receive(self, *, task: Task, **event: Any) -> None:
        self.received.append((task.task_id, again(task).state, connection.in_atomic_block))
        if self.error is not None:
            raise self.error


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    task_finished.connect(receiver.receive)
    yield receiver
    task_finished.disconnect(receiver.receive)


def fail(attempt: Attempt) -> None:
    raise JobFailed("the disk is full.", permanent=True)


def stop(attempt: Attempt) -> None:
    request_cancel(again(attempt.task), by="alice")
    raise JobCancelled(attempt.task.task_id)


@pytest.mark.parametrize(
    ("run", "state"),
    [(lambda attempt: None, "SUCCEEDED"), (fail, "FAILED"), (stop, "CANCELLED")],
    ids=["success", "failure", "cancellation"],
)
def test_it_is_sent_after_the_commit_of_every_end(
    ask: Ask, trial: Trial, receiver: Receiver, run: Callable[[Attempt], None], state: str
) -> None:
    task = ask()
    trial.run = run
    run_task(task.task_id)
    assert receiver.received == [(task.task_id, state, False)]


def test_it_is_sent_for_a_task_that_is_cancelled_before_it_starts(
    ask: Ask, receiver: Receiver
) -> None:
    task = request_cancel(ask(), by="alice")
    assert receiver.received == [(task.task_id, "CANCELLED", False)]


def test_it_is_not_sent_for_an_end_that_is_rolled_back(ask: Ask, receiver: Receiver) -> None:
    task = ask()
    with transaction.atomic():
        request_cancel(task, by="alice")
        transaction.set_rollback(True)
    assert (receiver.received, again(task).state) == ([], "PENDING")


def test_it_is_not_sent_for_a_pause(ask: Ask, receiver: Receiver) -> None:
    begun(ask()).retry_later("The cluster did not answer.")
    assert receiver.received == []


def test_a_receiver_that_fails_is_logged_and_changes_nothing(
    ask: Ask, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.error = RuntimeError("the mail server refused")
    task = ask()
    run_task(task.task_id)
    assert again(task).state == "SUCCEEDED"
    assert "the mail server refused" in caplog.text
