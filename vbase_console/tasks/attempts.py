"""One attempt at a task: claim, report, and the three ends.

Every write is conditional on the epoch of the attempt and on its lease.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest, Now

from vbase_console.organizations.versions import changed
from vbase_console.tasks.errors import JobCancelled, JobFailed, LeaseLost
from vbase_console.tasks.leases import Lease
from vbase_console.tasks.models import HELD_AT, UNDOING, Task, TaskEvent, database_time_in
from vbase_console.tasks.registry import Job, job_for, kinds
from vbase_console.tasks.shares import is_within_share, share_limit
from vbase_console.tasks.signals import send_task_finished
from vbase_console.tasks.states import LEASED, TaskState, sources_of

REPORT_INTERVAL_SECONDS = 1.0
LAST_PROGRESS_EPOCH = "last_progress_epoch"
"""Checkpoint key: number of the last attempt that saved a checkpoint."""
MAX_RETRY_DELAY_SECONDS = 60
"""A sweep corrects a longer delay, because only a clock that was set back can cause one."""

MAX_HELD_DELAY_SECONDS = 2
"""Clients wait for a task that holds their writes."""


def claim(task_id: str, *, worker: str) -> Attempt | None:
    """Begin an attempt if the task is next for its lock, or if the lease of its last attempt has
    expired, and if the share of its organization has a place.

    Returns None otherwise, and for a kind without a registered job. Of two workers that read the
    same row one wins, because the update is conditional on the epoch that was read. The unique
    index on the lock refuses a second holder if two workers read two different tasks as next.
    """
    since = time.monotonic()
    known = Task.objects.select_related("organization").filter(task_id=task_id, kind__in=kinds())
    task = known.ready().first() or known.abandoned().first()
    return _begin(task, worker, since) if task else None


def _begin(task: Task, worker: str, since: float) -> Attempt | None:
    taken_over = task.state in LEASED
    limit = share_limit()
    try:
        with transaction.atomic():
            if not _take(task, worker):
                return None
            if not is_within_share(task, limit):
                transaction.set_rollback(True)
                return None
            task.refresh_from_db()
            note(task, "Taken over from a worker that died." if taken_over else "Started.")
    except IntegrityError:
        return None  # another task took the lock in between
    return Attempt(task, since=since)


def _take(task: Task, worker: str) -> bool:
    """Take the lease by compare-and-set. A task with a cancellation request becomes CANCELLING."""
    waited = task.state == TaskState.PENDING
    is_free = Q(state=TaskState.PENDING) | Q(lease_until__lt=Now())
    cancelling = When(cancel_requested_at__isnull=False, then=Value(TaskState.CANCELLING))
    moved = Task.objects.filter(is_free, pk=task.pk, epoch=task.epoch, state=task.state).update(
        state=Case(cancelling, default=Value(TaskState.RUNNING)),
        epoch=F("epoch") + 1,
        worker=worker,
        holds_lock=bool(task.lock) if waited else task.holds_lock,
        lease_until=database_time_in(settings.LEASE_SECONDS),
        message="Started." if waited else task.message,
        started_at=Coalesce("started_at", Now()),
        updated_at=Now(),
    )
    return bool(moved)


def note(task: Task, message: str, *, is_phase: bool = False) -> TaskEvent:
    """Write an event. Pages that are open learn of it, except of a phase, which only pages with
    the task show.
    """
    if not is_phase:
        changed(task.organization_id)
    return TaskEvent.objects.create(
        task=task,
        epoch=task.epoch,
        state=task.state,
        progress=task.progress,
        phase=task.phase,
        message=message,
    )


class Attempt:
    """Claimed task and the lease to write about it, as a job receives them."""

    def __init__(self, task: Task, *, since: float) -> None:
        self.task = task
        self.lease = Lease(task, since=since)
        self._reported_at = 0.0
        self._advanced_at = since
        self._last_report: tuple[int, str, str] | None = None

    @property
    def job(self) -> Job:
        return job_for(self.task.kind)

    @property
    def name(self) -> str:
        """Unique name of the attempt. Its number grows with each attempt at the task."""
        return f"{self.task.task_id}-{self.lease.epoch}"

    @property
    def attempts_without_progress(self) -> int:
        """Number of attempts since the last recorded progress, including this one.

        A long job may outlive any number of workers; a job without progress is given up.
        """
        return self.task.epoch - int(self.task.checkpoint.get(LAST_PROGRESS_EPOCH, 0))

    @property
    def is_undoing(self) -> bool:
        return UNDOING in self.task.checkpoint

    @property
    def undoing(self) -> str:
        """Reason of the undo; empty for a cancellation."""
        return str(self.task.checkpoint[UNDOING])

    def begin_undoing(self, why: str) -> None:
        """Record the undo. Later attempts continue it and never run the job again."""
        self.save_checkpoint(**{UNDOING: _storable(why)})

    # -- the lease ---------------------------------------------------------------------------------

    @property
    def lost(self) -> threading.Event:
        return self.lease.lost

    @property
    def cancel_requested(self) -> threading.Event:
        return self.lease.cancel_requested

    def renew(self) -> None:
        self.lease.renew()

    def guard(self) -> None:
        """Raise LeaseLost if the attempt has lost its lease. Call before every external effect."""
        self.lease.require_now()

    def safe_point(self) -> None:
        """Raise JobCancelled if a cancellation was requested. Call where nothing is half done."""
        self.lease.require()
        if self.cancel_requested.is_set() and self.job.cancellable:
            raise JobCancelled(self.task.task_id)

    def safe_point_now(self) -> None:
        """Like `safe_point`, but read the row first, so that a new request is seen at once."""
        self.lease.require_now()
        self.safe_point()

    @contextlib.contextmanager
    def fenced(self) -> Iterator[None]:
        """Open a transaction that commits only if the attempt still has its lease.

        The task's row is locked first, so that no worker can take the task over before the commit.
        """
        with transaction.atomic():
            self.job.hold(self.task)
            self._write()
            yield

    # -- reports -----------------------------------------------------------------------------------

    def report(self, percent: int, phase: str, message: str) -> None:
        """Write the progress, at most once a second and whenever the phase changes."""
        self.safe_point()
        due = time.monotonic() - self._reported_at >= REPORT_INTERVAL_SECONDS
        message = _storable(message)
        self._require_advance((percent, phase, message))
        if phase == self.task.phase and not due:
            return
        self._reported_at = time.monotonic()
        new_phase = phase != self.task.phase
        with transaction.atomic():
            self._write(
                progress=Greatest("progress", min(percent, 99)), phase=phase, message=message
            )
            self.task.refresh_from_db(fields=["progress", "phase", "message", "state"])
            if new_phase:
                note(self.task, message, is_phase=True)
        if self.task.state == TaskState.CANCELLING:
            self.cancel_requested.set()
            self.safe_point()

    def _require_advance(self, report: tuple[int, str, str]) -> None:
        """Raise JobFailed if the job has reported the same for too long, for example because a
        server never finishes an index.
        """
        if report != self._last_report:
            self._last_report, self._advanced_at = report, time.monotonic()
        elif self.seconds_without_advance > settings.TASK_STALL_SECONDS:
            hours = settings.TASK_STALL_SECONDS / 3600
            raise JobFailed(f"No progress for {hours:.0f} hours.", permanent=False)

    @property
    def seconds_without_advance(self) -> float:
        return time.monotonic() - self._advanced_at

    def save_checkpoint(self, **facts: Any) -> None:
        self._advanced_at = time.monotonic()
        self.task.checkpoint |= facts | {LAST_PROGRESS_EPOCH: self.task.epoch}
        self._write(checkpoint=self.task.checkpoint)

    def warn(self, text: str) -> None:
        text = _storable(text)
        if text not in self.task.warnings:
            self.task.warnings.append(text)
            self._write(warnings=self.task.warnings)

    def release_lock(self) -> None:
        """Release the lock early, so that the next task of the lock can start."""
        with transaction.atomic():
            self._write(holds_lock=False)
            Task.objects.mark_next_ready(self.task.lock)

    def _write(self, **changes: Any) -> None:
        if not self.lease.rows().update(updated_at=Now(), **changes):
            self.lost.set()
            raise LeaseLost(self.task.task_id)

    # -- the ends ----------------------------------------------------------------------------------

    def succeed(self, message: str = "Done.") -> None:
        self._move(TaskState.SUCCEEDED, message, progress=100, finished_at=Now())

    def fail(self, message: str) -> None:
        self._move(TaskState.FAILED, _storable(message), finished_at=Now())

    def cancel(self) -> None:
        self._move(TaskState.CANCELLED, "Cancelled.", finished_at=Now())

    def retry_later(self, message: str) -> None:
        """End the attempt and pause the task, with exponential backoff and jitter up to a minute,
        or to two seconds while clients wait for the task.

        The next sweep after the pause wakes a worker.
        """
        holds_writes = HELD_AT in self.task.checkpoint
        most = MAX_HELD_DELAY_SECONDS if holds_writes else MAX_RETRY_DELAY_SECONDS
        longest = min(2.0 ** min(self.task.epoch, 10), most)
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311
        latest = pause + settings.SWEEP_SECONDS
        text = _storable(f"{message} Next attempt in {pause:.0f} to {latest:.0f} s.")
        again_at = database_time_in(pause)
        with transaction.atomic():
            self.job.hold(self.task)
            if self.is_undoing or not self._pause_cancelling(text, again_at):
                self._move(TaskState.PENDING, text, not_before=again_at, woken_at=None)

    def _pause_cancelling(self, message: str, again_at: Combinable) -> bool:
        """Pause a CANCELLING task without moving it. Returns False for other tasks.

        The task keeps its lock, because its changes are not undone yet. Its lease expires with the
        pause, and the next attempt continues the undo.
        """
        stopping = self.lease.rows().filter(state=TaskState.CANCELLING)
        paused = {"lease_until": again_at, "worker": "", "message": message}
        if not stopping.update(**paused, updated_at=Now()):
            return False
        self.lost.set()
        self.task.refresh_from_db()
        note(self.task, message)
        return True

    def _move(self, state: TaskState, message: str, **changes: Any) -> None:
        with transaction.atomic():
            self.job.hold(self.task)
            moved = (
                self.lease.rows()
                .filter(state__in=sources_of(state))
                .update(
                    state=state,
                    message=message,
                    holds_lock=False,
                    lease_until=None,
                    updated_at=Now(),
                    **changes,
                )
            )
            if not moved:
                self.lost.set()
                raise LeaseLost(self.task.task_id)
            self.task.refresh_from_db()
            note(self.task, message)
            Task.objects.mark_next_ready(self.task.lock)
            if self.task.is_finished:
                self.job.settled(self.task)
                send_task_finished(self.task)


def _storable(message: str) -> str:
    """Escape NUL characters, because PostgreSQL cannot store them and servers may quote them."""
    return message.replace("\0", "\\0")
