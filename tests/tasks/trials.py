"""A kind of task for trials of the engine: its job does what the test says."""

from __future__ import annotations

from collections.abc import Callable

from vbase_console.organizations.scopes import ANY_MEMBER
from vbase_console.tasks.attempts import Attempt, claim
from vbase_console.tasks.models import Task, database_time_in
from vbase_console.tasks.registry import Job

KIND = "TRIAL"


class Trial:
    """The job of a trial: `run` may be replaced, and every attempt and settlement is kept."""

    def __init__(self) -> None:
        self.run: Callable[[Attempt], None] = lambda attempt: None
        self.settle: Callable[[Task], None] = lambda task: None
        self.attempts: list[int] = []
        self.settled: list[str] = []

    def job(self, **fields: bool) -> Job:
        return Job(kind=KIND, scope=ANY_MEMBER, handler=self._run, settled=self._settled, **fields)

    def _run(self, attempt: Attempt) -> None:
        self.attempts.append(attempt.task.epoch)
        self.run(attempt)

    def _settled(self, task: Task) -> None:
        self.settle(task)
        self.settled.append(task.state)


def begun(task: Task, worker: str = "first") -> Attempt:
    attempt = claim(task.task_id, worker=worker)
    assert attempt is not None
    return attempt


def end_lease(task: Task) -> None:
    """As if the worker had been silent for longer than its lease."""
    Task.objects.filter(pk=task.pk).update(lease_until=database_time_in(-1))


def end_pause(task: Task) -> None:
    """As if the pause after a passing error were over."""
    Task.objects.filter(pk=task.pk).update(not_before=database_time_in(-1))


def again(task: Task) -> Task:
    """The row as it is now."""
    return Task.objects.get(pk=task.pk)


def history(task: Task) -> list[str]:
    return list(task.events.values_list("message", flat=True))
