"""Registry of the kinds of tasks. Apps register their jobs in `AppConfig.ready`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from vbase_console.tasks.states import TASK_ID_PREFIX

if TYPE_CHECKING:
    from vbase_console.tasks.models import Task

Handler = Callable[[Any], None]
"""Called with the `Attempt`. Not typed so, because attempts import this registry."""
OnTask = Callable[["Task"], None]
Retry = Callable[["Task", str], "Task"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CancelEffect:
    """Sentences about what a cancellation loses and what it keeps, for its confirmation."""

    lost: tuple[str, ...] = ("the progress of the task",)
    kept: tuple[str, ...] = ()


def _plain_cancel_effect(task: Task) -> CancelEffect:
    return CancelEffect()


def _nothing(task: Task) -> None:
    """Default for kinds whose end changes no other row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """Functions and rules of one kind of task.

    `handler`, `undo` and `must_finish` may be dotted paths: their modules are then imported by the
    first job, not when the console starts.
    """

    kind: str
    scope: str
    """Scope that a cancellation or a retry needs."""
    handler: Handler | str
    """Does the work of one attempt. May be called again from any point."""
    undo: Handler | str | None = None
    """Called before a started task ends FAILED or CANCELLED, until it succeeds; leaves nothing half
    done.
    """
    must_finish: Callable[[Task], bool] | str | None = None
    """True if the task is past its point of no return: it is then tried until it succeeds."""
    settled: OnTask = _nothing
    """Called in the transaction that ends the task, so that other rows change with it."""
    hold: OnTask = _nothing
    """Locks the other rows of a transaction before it writes the task: subject before task."""
    retry: Retry | None = None
    """Asks again for the work of a failed or cancelled task, by the rules of its app."""
    cancel_effect: Callable[[Task], CancelEffect] = _plain_cancel_effect
    """Describes what a cancellation of the task would lose and keep."""
    cancellable: bool = True
    """False for work that cannot be undone."""
    id_prefix: str = TASK_ID_PREFIX

    def run(self, attempt: object) -> None:
        _imported(self.handler)(attempt)

    def undo_run(self, attempt: object) -> None:
        if self.undo is not None:
            _imported(self.undo)(attempt)

    def is_past_return(self, task: Task) -> bool:
        return self.must_finish is not None and bool(_imported(self.must_finish)(task))


def _imported(function: Callable[..., Any] | str) -> Callable[..., Any]:
    return import_string(function) if isinstance(function, str) else function


_jobs: dict[str, Job] = {}


def register(job: Job) -> None:
    if job.kind in _jobs and _jobs[job.kind] != job:
        raise ValueError(f"Two jobs want the kind {job.kind}.")
    _jobs[job.kind] = job


def job_for(kind: str) -> Job:
    return _jobs[kind]


def kinds() -> list[str]:
    return sorted(_jobs)
