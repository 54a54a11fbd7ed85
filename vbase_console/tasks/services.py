"""Services of tasks: enqueue, cancel, retry. Workers are woken after the commit."""

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
from vbase_console.tasks.registry import job_for, kinds
from vbase_console.tasks.shares import share_limit, urgent, within_shares
from vbase_console.tasks.signals import send_task_finished
from vbase_console.tasks.states import TaskState

SHARE_IN_USE = "Waiting for the end of another task: the organization's share is in use."

_gathered: ContextVar[list[str] | None] = ContextVar("gathered", default=None)
"""Tasks whose wake-ups are sent together; None outside of `batch_wakeups`."""


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
    """Create a task in the caller's transaction, and wake a worker after its commit.

    `reason` is added to the first event. A delay is at most a minute, because a sweep corrects a
    longer one as the result of a clock that was set back.

    Raises ResourceExhausted if too many tasks are unfinished. With `limited=False`, for work of the
    console itself, the task is created nevertheless and counts against the limits.
    """
    if limited:
        require_capacity(organization_id, quota_key)
    id_prefix = job_for(kind).id_prefix
    task = Task.objects.create(
        task_id=new_id(id_prefix),
        id_prefix=id_prefix,
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
    del task.not_before  # an expression: the next access reads the value from the database
    note(task, f"Requested by {requested_by or 'the console'}. {reason}".strip())
    wake_after_commit(task.task_id)
    return task


@transaction.atomic
def request_cancel(task: Task, *, by: str, clean_up: bool = True) -> Task:
    """Cancel a task: at once if it has not started, at its next safe point if it is running.

    A task that pauses between two attempts gets one more attempt, which undoes its changes. Without
    `clean_up` such a task ends at once, for a caller that removes the changes itself.
    """
    if not can_be_cancelled(task):
        raise FailedPrecondition(
            f"{task.task_id} cannot be cancelled, because a {task.kind} cannot be undone."
        )
    job_for(task.kind).hold(task)
    if _cancel_waiting(task, by, even_started=not clean_up):
        return task
    if _cancel_pausing(task, by) or _cancel_running(task, by):
        return task
    task.refresh_from_db()
    if task.is_active:
        return task
    raise FailedPrecondition(f"{task.task_id} has already ended: {task.state}.")


def can_be_cancelled(task: Task) -> bool:
    return job_for(task.kind).cancellable


def check_retryable(task: Task) -> None:
    """Raise FailedPrecondition unless the task has ended badly and has no successful retry."""
    if task.state not in (TaskState.FAILED, TaskState.CANCELLED):
        raise FailedPrecondition(
            f"{task.task_id} is {task.state}. Only a failed or cancelled task can be retried."
        )
    retries = Task.objects.filter(retry_of=task.task_id)
    other = retries.exclude(state__in=[TaskState.FAILED, TaskState.CANCELLED]).first()
    if other is not None:
        raise FailedPrecondition(
            f"{task.task_id} has been retried already. "
            f"Its retry ({other.task_id}) is {other.state}."
        )


def retry(task: Task, *, by: str) -> Task:
    """Create a new task for the work of a failed or cancelled one, by the rules of its app."""
    request_again = job_for(task.kind).retry
    if request_again is None:
        raise FailedPrecondition(f"{task.task_id} ({task.kind}) cannot be retried.")
    return request_again(task, by)


def add_to_message(task: Task, text: str) -> None:
    """Add a consequence of a task's end to its message, in the transaction that ends it."""
    task.message = f"{task.message} {text}"
    Task.objects.filter(pk=task.pk).update(message=task.message)
    note(task, text)


def wake_after_commit(task_id: str) -> None:
    transaction.on_commit(lambda: wake(task_id), robust=True)


def wake(task_id: str) -> bool:
    """Send a wake-up for a task. Returns False if the broker does not answer or the share of the
    organization is in use: the end of another task or a sweep will find the task.
    """
    gathered = _gathered.get()
    if gathered is not None:
        gathered.append(task_id)
        return True
    return wake_all([task_id]) == 1


@contextmanager
def batch_wakeups() -> Iterator[None]:
    """Collect wake-ups and send them together after the commit, for callers that enqueue many
    tasks.
    """
    gathered: list[str] = []
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
        wake_all(gathered)


def wake_all(task_ids: Sequence[str]) -> int:
    """Send wake-ups until the first one fails, to tasks within the shares of their organizations.

    Returns the number of sent messages. The other tasks are woken when a task of their
    organization ends.
    """
    limit = share_limit() if task_ids else None
    allowed = task_ids if limit is None else list(within_shares(task_ids, limit))
    sent = list(takewhile(broker.send, allowed))
    if sent:
        Task.objects.filter(task_id__in=sent).update(woken_at=Now())
    if len(allowed) < len(task_ids):
        waiting = Task.objects.ready().filter(task_id__in=set(task_ids) - set(allowed))
        waiting.exclude(message=SHARE_IN_USE).update(message=SHARE_IN_USE)
    return len(sent)


def wake_following(task: Task) -> None:
    """Wake the tasks that can start because an attempt has ended: the next one of its lock, and
    those that waited for the share of the organization.
    """
    limit = share_limit()
    if limit is None:
        _wake_next(task.lock)
        return
    waiting = Task.objects.filter(organization=task.organization_id, kind__in=kinds())
    ready = waiting.ready().without_message("not_before").order_by("-priority", "pk")
    following = _abandoned_of(task.organization_id)
    for rows in (ready.filter(urgent()), ready):
        following += rows.values_list("task_id", flat=True)[: limit + 1]
    wake_all(list(dict.fromkeys(following)))


def _abandoned_of(organization_id: uuid.UUID) -> list[str]:
    """List the organization's abandoned tasks without a message, urgent ones first.

    A condition for the organization would make SQLite read its history.
    """
    abandoned = Task.objects.abandoned().without_message("lease_until").filter(kind__in=kinds())
    in_order = abandoned.annotate(is_urgent=urgent()).order_by("-is_urgent", "-priority", "pk")
    rows = in_order.values_list("organization", "task_id")
    return [task_id for owner, task_id in rows if owner == organization_id]


def put_back(task_id: str) -> None:
    """Record that the wake-up of a task began no attempt, and wake tasks that can start instead.

    Without shares this is left to the end of the task that has the lock.
    """
    task = Task.objects.filter(task_id=task_id).first() if share_limit() is not None else None
    if task is not None:
        Task.objects.filter(pk=task.pk, epoch=task.epoch).update(woken_at=None)
        wake_following(task)


def _wake_next(lock: str) -> None:
    following = Task.objects.next_for(lock).first() if lock else None
    if following and following.not_before <= timezone.now():
        wake(following.task_id)


def _cancel_waiting(task: Task, by: str, *, even_started: bool) -> bool:
    waiting = Task.objects.filter(pk=task.pk, state=TaskState.PENDING)
    moved = (waiting if even_started else waiting.filter(epoch=0)).update(
        state=TaskState.CANCELLED,
        message=f"Cancelled by {by} before the start.",
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
    transaction.on_commit(lambda: wake_following(task), robust=True)
    return True


def _cancel_pausing(task: Task, by: str) -> bool:
    pausing = Task.objects.filter(pk=task.pk, state=TaskState.PENDING, cancel_requested_at=None)
    moved = pausing.update(
        cancel_requested_at=Now(), not_before=Now(), woken_at=None, updated_at=Now()
    )
    if not moved:
        return False
    task.refresh_from_db()
    note(task, f"{by} cancelled the task. The changes of its earlier attempts are undone first.")
    wake_after_commit(task.task_id)
    return True


def _cancel_running(task: Task, by: str) -> bool:
    moved = Task.objects.filter(pk=task.pk, state=TaskState.RUNNING).update(
        state=TaskState.CANCELLING,
        cancel_requested_at=Coalesce("cancel_requested_at", Now()),
        updated_at=Now(),
    )
    if not moved:
        return False
    task.refresh_from_db()
    note(task, f"{by} cancelled the task. It stops at its next safe point.")
    return True
