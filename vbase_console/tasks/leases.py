"""The right of one attempt to act: it ends unless it is renewed, and everything asks it first."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db.models.functions import Now

from vbase_console.tasks.errors import LeaseLost
from vbase_console.tasks.models import Task, TaskQuerySet, database_time_in
from vbase_console.tasks.states import LEASED, TaskState


class Lease:
    """Which attempt of which task, and whether it may still act.

    The database's clock decides. Our own clock is asked too, because it costs nothing: `since` was
    read before the database was asked, so it never lasts longer than the truth.
    """

    def __init__(self, task: Task, *, since: float) -> None:
        self.task_id = task.task_id
        self.task_pk = task.pk
        self.epoch = task.epoch
        self.lost = threading.Event()
        self.cancel_requested = threading.Event()
        self._renewed_at = since
        self._learn(task.state)

    def rows(self) -> TaskQuerySet:
        """The task's row while this attempt may still write to it; empty from the moment it may
        not.
        """
        return Task.objects.filter(
            pk=self.task_pk, epoch=self.epoch, state__in=LEASED, lease_until__gt=Now()
        )

    def renew(self) -> None:
        """Called by the heartbeat; learns on the way whether somebody asked for a stop."""
        since = time.monotonic()
        if not self.rows().update(lease_until=database_time_in(settings.LEASE_SECONDS)):
            self.lost.set()
            return
        self._renewed_at = since
        self._look()

    def require(self) -> None:
        """Raise `LeaseLost` where it is known here that the lease has ended."""
        if time.monotonic() - self._renewed_at > settings.LEASE_SECONDS:
            self.lost.set()
        if self.lost.is_set():
            raise LeaseLost(self.task_id)

    def require_now(self) -> None:
        """The same, after a look at the row: another attempt may have begun a moment ago."""
        self.require()
        self._look()
        self.require()

    def _look(self) -> None:
        state = self.rows().values_list("state", flat=True).first()
        if state is None:
            self.lost.set()
        else:
            self._learn(state)

    def _learn(self, state: str) -> None:
        if state == TaskState.CANCELLING:
            self.cancel_requested.set()
