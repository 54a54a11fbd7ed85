"""Which function does which kind of task. Apps fill it in `AppConfig.ready`; the engine knows
only this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vbase_console.tasks.attempts import Attempt
    from vbase_console.tasks.models import Task

Run = Callable[["Attempt"], None]
Settled = Callable[["Task"], None]
Retry = Callable[["Task", str], "Task"]


def _nothing(task: Task) -> None:
    """For kinds whose end changes nothing but the task."""


def _nothing_to_undo(attempt: Attempt) -> None:
    """For kinds whose failure leaves nothing that the next request does not put right."""


def _never(task: Task) -> bool:
    """For kinds that can be undone at any point."""
    return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """How one kind of task is done.

    `run` does the work of one attempt and may be called again from any point. `settled` is called
    inside the transaction that ends the task, whatever the end: what the task's end means for other
    rows becomes true with it or not at all. `hold` is called first in every transaction that writes
    a task and other rows: it locks those, so that everybody takes them in the same order, subject
    before task. `undo` is called before a begun task ends FAILED or CANCELLED, and leaves nothing
    half done; until it has succeeded the task does not end. `must_finish` says of a task that its
    work is past the point of no return: then it is tried until it succeeds. `cancellable` is False
    for work that can only go forward. `retry` asks anew for what a failed or cancelled task should
    have done, by the rules of whoever knows the subject.
    """

    kind: str
    run: Run
    settled: Settled = _nothing
    hold: Settled = _nothing
    undo: Run = _nothing_to_undo
    must_finish: Callable[[Task], bool] = _never
    cancellable: bool = True
    retry: Retry | None = None
    id_prefix: str = "task"


_jobs: dict[str, Job] = {}


def register(job: Job) -> None:
    if job.kind in _jobs and _jobs[job.kind] != job:
        raise ValueError(f"Two jobs want the kind {job.kind}.")
    _jobs[job.kind] = job


def job_for(kind: str) -> Job:
    return _jobs[kind]


def kinds() -> list[str]:
    return sorted(_jobs)
