"""One try of a task: claim, report, and the three ends. Every write says `where epoch = mine and
the lease lives`.
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

from vbase_console.tasks.errors import JobCancelled, LeaseLost
from vbase_console.tasks.leases import Lease
from vbase_console.tasks.models import Task, TaskEvent, database_time_in
from vbase_console.tasks.registry import Job, job_for, kinds
from vbase_console.tasks.signals import send_task_finished
from vbase_console.tasks.states import LEASED, TaskState, sources_of

REPORT_INTERVAL_SECONDS = 1.0
ADVANCED = "advanced"
"""In a checkpoint: the last attempt that noted something."""
UNDOING = "undoing"
"""In a checkpoint: that, and why, the task is only being undone."""
MAX_RETRY_DELAY_SECONDS = 60
"""A sweep takes a longer one for the work of a clock that was set back."""


def claim(task_id: str, *, worker: str) -> Attempt | None:
    """Begin an attempt if the task waits and its turn has come, or if its last attempt is dead;
    None otherwise, and where this version of the console does not know the kind.

    Whoever reads the same row at the same time loses: the update names the epoch that was read, and
    the unique index on the lock forbids a second holder even where two different tasks were read as
    next.
    """
    since = time.monotonic()
    known = Task.objects.select_related("organization").filter(task_id=task_id, kind__in=kinds())
    task = known.ready().first() or known.abandoned().first()
    return _begin(task, worker, since) if task else None


def _begin(task: Task, worker: str, since: float) -> Attempt | None:
    taken_over = task.state in LEASED
    try:
        with transaction.atomic():
            if not _take(task, worker):
                return None
            task.refresh_from_db()
            note(task, "Taken over from a worker that died." if taken_over else "Started.")
    except IntegrityError:
        return None  # another task took the lock in between
    return Attempt(task, since=since)


def _take(task: Task, worker: str) -> bool:
    """The compare-and-set. What was asked for between the reading and the writing is seen too: a
    task that somebody wants stopped goes on as CANCELLING.
    """
    waited = task.state == TaskState.PENDING
    still_dead = Q(state=TaskState.PENDING) | Q(lease_until__lt=Now())
    asked_to_stop = When(cancel_requested_at__isnull=False, then=Value(TaskState.CANCELLING))
    moved = Task.objects.filter(still_dead, pk=task.pk, epoch=task.epoch, state=task.state).update(
        state=Case(asked_to_stop, default=Value(TaskState.RUNNING)),
        epoch=F("epoch") + 1,
        worker=worker,
        holds_lock=bool(task.lock) if waited else task.holds_lock,
        lease_until=database_time_in(settings.LEASE_SECONDS),
        message="Started." if waited else task.message,
        started_at=Coalesce("started_at", Now()),
        updated_at=Now(),
    )
    return bool(moved)


def note(task: Task, message: str) -> TaskEvent:
    return TaskEvent.objects.create(
        task=task,
        epoch=task.epoch,
        state=task.state,
        progress=task.progress,
        phase=task.phase,
        message=message,
    )


class Attempt:
    """What a job holds while it works: the task as it was claimed, and the right to write about
    it.
    """

    def __init__(self, task: Task, *, since: float) -> None:
        self.task = task
        self.lease = Lease(task, since=since)
        self._reported_at = 0.0

    @property
    def job(self) -> Job:
        return job_for(self.task.kind)

    @property
    def name(self) -> str:
        """Of all attempts at all tasks this one; a later one at the same task has a larger end."""
        return f"{self.task.task_id}-{self.lease.epoch}"

    @property
    def attempts_without_progress(self) -> int:
        """Attempts since the last one that got anywhere, this one included: a long job may outlive
        any number of deaths, and one that never gets on ends.
        """
        return self.task.epoch - int(self.task.checkpoint.get(ADVANCED, 0))

    @property
    def is_undoing(self) -> bool:
        return UNDOING in self.task.checkpoint

    @property
    def undoing(self) -> str:
        """Why it is given up; empty where somebody cancelled it."""
        return str(self.task.checkpoint[UNDOING])

    def begin_undoing(self, why: str) -> None:
        """From here on no attempt does the work any more: it would take half of it for all."""
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
        """Raise `LeaseLost` if this attempt may no longer act; called right before every effect
        on the world.
        """
        self.lease.require_now()

    def safe_point(self) -> None:
        """Raise `JobCancelled` if somebody asked for a stop: here the job can end with nothing
        half done.
        """
        self.lease.require()
        if self.cancel_requested.is_set() and self.job.cancellable:
            raise JobCancelled(self.task.task_id)

    def safe_point_now(self) -> None:
        """The same, after a look at the row: between two batches that costs nothing, and whoever
        asked a moment ago need not wait for a heartbeat.
        """
        self.lease.require_now()
        self.safe_point()

    @contextlib.contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction that commits only if this attempt still may write. It takes the row
        first: nobody can take the task over between the check and the commit.
        """
        with transaction.atomic():
            self.job.hold(self.task)
            self._write()
            yield

    # -- what a job says ---------------------------------------------------------------------------

    def report(self, percent: int, phase: str, message: str) -> None:
        """Say what was done and what is being done; written at most once a second, and always
        when the phase changes.
        """
        self.safe_point()
        due = time.monotonic() - self._reported_at >= REPORT_INTERVAL_SECONDS
        message = _storable(message)
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
                note(self.task, message)
        if self.task.state == TaskState.CANCELLING:
            self.cancel_requested.set()
            self.safe_point()

    def save_checkpoint(self, **facts: Any) -> None:
        """Note for the next attempt what this one has reached."""
        self.task.checkpoint |= facts | {ADVANCED: self.task.epoch}
        self._write(checkpoint=self.task.checkpoint)

    def warn(self, text: str) -> None:
        """Said once, however many attempts come upon it."""
        text = _storable(text)
        if text not in self.task.warnings:
            self.task.warnings.append(text)
            self._write(warnings=self.task.warnings)

    def release_lock(self) -> None:
        """Let the next task of this lock begin while this one goes on."""
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
        """Try again after a pause that doubles with every attempt, up to a minute, and is never
        the same twice. The next sweep after it wakes whoever tries.
        """
        longest = min(2.0 ** min(self.task.epoch, 10), MAX_RETRY_DELAY_SECONDS)
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311
        latest = pause + settings.SWEEP_SECONDS
        text = _storable(f"{message} Next try in {pause:.0f} to {latest:.0f} s.")
        again_at = database_time_in(pause)
        with transaction.atomic():
            self.job.hold(self.task)
            if self.is_undoing or not self._rest(text, again_at):
                self._move(TaskState.PENDING, text, not_before=again_at, woken_at=None)

    def _rest(self, message: str, again_at: Combinable) -> bool:
        """A task that is being stopped stays so, and keeps its lock: what it began is not cleaned
        up yet. The lease becomes the pause; who takes over then goes on cleaning.
        """
        stopping = self.lease.rows().filter(state=TaskState.CANCELLING)
        if not stopping.update(lease_until=again_at, message=message, updated_at=Now()):
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
    """What a server says may quote a key of its tenant, and PostgreSQL holds no NUL."""
    return message.replace("\0", "\\0")
