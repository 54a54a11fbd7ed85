"""What can be asked of tasks: enqueue, cancel, retry. Each leaves rows first and wakes a worker
after the commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import takewhile
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from vbase_console.core.errors import FailedPrecondition
from vbase_console.core.ids import new_id
from vbase_console.tasks.attempts import note
from vbase_console.tasks.broker import broker
from vbase_console.tasks.limits import require_capacity
from vbase_console.tasks.models import Task, database_time_in
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.signals import send_task_finished
from vbase_console.tasks.states import TaskState

_gathered: ContextVar[list[str] | None] = ContextVar("gathered", default=None)
"""Of whom the workers are told together; None where each is told at once."""


@transaction.atomic
def enqueue(
    *,
    organization_id: uuid.UUID,
    kind: str,
    subject_id: str,
    lock: str = "",
    quota_key: str = "",
    limited: bool = True,
    priority: int = 0,
    arguments: dict[str, Any] | None = None,
    requested_by: str = "",
    retry_of: str = "",
    delay_seconds: float = 0,
    message: str = "Waiting for a worker.",
    reason: str = "",
) -> Task:
    """Accept a piece of work in the caller's transaction; a worker hears of it when that
    commits. `reason` is for the history. A delay is at most a minute: a sweep takes a longer one
    for the work of a clock that was set back.

    Raises ResourceExhausted if too many tasks are unfinished, unless `limited` is False: for work
    that the console itself needs, which still counts against the limits.
    """
    if limited:
        require_capacity(organization_id, quota_key)
    task = Task.objects.create(
        task_id=new_id(job_for(kind).id_prefix),
        organization_id=organization_id,
        kind=kind,
        subject_id=subject_id,
        lock=lock,
        quota_key=quota_key,
        priority=priority,
        arguments=arguments or {},
        requested_by=requested_by,
        retry_of=retry_of,
        message=message,
        not_before=database_time_in(delay_seconds) if delay_seconds else Now(),
    )
    del task.not_before  # what the database made of it is read by whoever asks
    note(task, f"Accepted from {requested_by or 'the console'}. {reason}".strip())
    wake_after_commit(task.task_id)
    return task


@transaction.atomic
def request_cancel(task: Task, *, by: str, clean_up: bool = True) -> Task:
    """A task that never began ends at once; one that runs is asked to stop at its next safe point;
    one that pauses between two attempts is taken up once more, to clean up what they left.

    Without `clean_up` the last one ends at once too: for a caller who removes everything anyway.
    """
    if not can_be_cancelled(task):
        raise FailedPrecondition(f"{task.task_id} cannot be cancelled: it can only go forward.")
    job_for(task.kind).hold(task)
    if _cancel_waiting(task, by, begun_too=not clean_up):
        return task
    if _ask_pausing(task, by) or _ask_running(task, by):
        return task
    task.refresh_from_db()
    if task.is_active:
        return task
    raise FailedPrecondition(f"{task.task_id} has already ended: {task.state}.")


def can_be_cancelled(task: Task) -> bool:
    return job_for(task.kind).cancellable


def check_retryable(task: Task) -> None:
    """A retry is a task of its own, asked for where its kind is at home; how the first one ended
    stays in the history.
    """
    if task.state not in (TaskState.FAILED, TaskState.CANCELLED):
        raise FailedPrecondition(
            f"{task.task_id} is {task.state}; only a failed or cancelled task can be tried again."
        )
    again = Task.objects.filter(retry_of=task.task_id).exclude(
        state__in=[TaskState.FAILED, TaskState.CANCELLED]
    )
    for other in again[:1]:
        raise FailedPrecondition(
            f"{task.task_id} has been tried again already: {other.task_id} is {other.state}."
        )


def retry(task: Task, *, by: str) -> Task:
    """Ask anew for a task of any kind; its app decides whether that is taken."""
    ask_again = job_for(task.kind).retry
    if ask_again is None:
        raise FailedPrecondition(f"{task.task_id} ({task.kind}) cannot be tried again.")
    return ask_again(task, by)


def wake_after_commit(task_id: str) -> None:
    transaction.on_commit(lambda: wake(task_id), robust=True)


def wake(task_id: str) -> bool:
    """Tell the workers to look at this row. False where the broker does not answer: the sweep
    will find the row.
    """
    gathered = _gathered.get()
    if gathered is not None:
        gathered.append(task_id)
        return True
    return wake_all([task_id]) == 1


@contextmanager
def batch_wakeups() -> Iterator[None]:
    """For whoever accepts many: workers hear of all that was committed inside in one go, behind
    it.
    """
    gathered: list[str] = []
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
        wake_all(gathered)


def wake_all(task_ids: Sequence[str]) -> int:
    """The same for many, until the first message that is not taken; answers how many were."""
    taken = list(takewhile(broker.send, task_ids))
    if taken:
        Task.objects.filter(task_id__in=taken).update(woken_at=Now())
    return len(taken)


def wake_next(lock: str) -> None:
    """A lock became free: wake whoever is first in line."""
    following = Task.objects.next_for(lock).first() if lock else None
    if following and following.not_before <= timezone.now():
        wake(following.task_id)


def _cancel_waiting(task: Task, by: str, *, begun_too: bool) -> bool:
    waiting = Task.objects.filter(pk=task.pk, state=TaskState.PENDING)
    moved = (waiting if begun_too else waiting.filter(epoch=0)).update(
        state=TaskState.CANCELLED,
        message=f"Cancelled by {by} before it began.",
        cancel_requested_at=Now(),
        finished_at=Now(),
        updated_at=Now(),
    )
    if not moved:
        return False
    task.refresh_from_db()
    note(task, task.message)
    Task.objects.mark_next_ready(task.lock)
    job_for(task.kind).settled(task)
    send_task_finished(task)
    transaction.on_commit(lambda: wake_next(task.lock), robust=True)
    return True


def _ask_pausing(task: Task, by: str) -> bool:
    pausing = Task.objects.filter(pk=task.pk, state=TaskState.PENDING, cancel_requested_at=None)
    moved = pausing.update(
        cancel_requested_at=Now(), not_before=Now(), woken_at=None, updated_at=Now()
    )
    if not moved:
        return False
    task.refresh_from_db()
    note(task, f"{by} asked to stop it; what its earlier attempts began is cleaned up first.")
    wake_after_commit(task.task_id)
    return True


def _ask_running(task: Task, by: str) -> bool:
    moved = Task.objects.filter(pk=task.pk, state=TaskState.RUNNING).update(
        state=TaskState.CANCELLING,
        cancel_requested_at=Coalesce("cancel_requested_at", Now()),
        updated_at=Now(),
    )
    if not moved:
        return False
    task.refresh_from_db()
    note(task, f"{by} asked to stop it; it stops at its next safe point.")
    return True
