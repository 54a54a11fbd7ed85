"""Lease of one attempt. It expires unless renewed; every write checks it."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db.models.functions import Now

from vbase_console.tasks.errors import LeaseLost
from vbase_console.tasks.models import Task, TaskQuerySet, database_time_in
from vbase_console.tasks.states import LEASED, TaskState


class Lease:
    """Lease of one attempt, measured by the clock of the database.

    The local clock is checked first, because that costs no query. `since` is read before each
    renewal, so that the local lease never outlasts the one in the database.
    """

    def __init__(self, task: Task, *, since: float) -> None:
        self.task_id = task.task_id
        self.task_pk = task.pk
        self.epoch = task.epoch
        self.lost = threading.Event()
        self.cancel_requested = threading.Event()
        self._renewed_at = since
        self._note_state(task.state)

    def rows(self) -> TaskQuerySet:
        """Select the task's row if the attempt still has its lease; empty otherwise."""
        return Task.objects.filter(
            pk=self.task_pk, epoch=self.epoch, state__in=LEASED, lease_until__gt=Now()
        )

    def renew(self) -> None:
        """Extend the lease, and read a cancellation request from the row."""
        since = time.monotonic()
        if not self.rows().update(lease_until=database_time_in(settings.LEASE_SECONDS)):
            self.lost.set()
            return
        self._renewed_at = since
        self._read_state()

    def require(self) -> None:
        """Raise LeaseLost if the lease is known to have ended. Costs no query."""
        if time.monotonic() - self._renewed_at > settings.LEASE_SECONDS:
            self.lost.set()
        if self.lost.is_set():
            raise LeaseLost(self.task_id)

    def require_now(self) -> None:
        """Raise LeaseLost if the lease has ended, according to the row."""
        self.require()
        self._read_state()
        self.require()

    def _read_state(self) -> None:
        state = self.rows().values_list("state", flat=True).first()
        if state is None:
            self.lost.set()
        else:
            self._note_state(state)

    def _note_state(self, state: str) -> None:
        if state == TaskState.CANCELLING:
            self.cancel_requested.set()
