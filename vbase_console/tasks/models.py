"""Tasks and their events. `attempts` moves a task for a worker, `services` for a user."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.tasks.states import ACTIVE, FINISHED, LEASED, TASK_ID_PREFIX, TaskState

UNDOING = "undoing"
"""Checkpoint key: reason of the undo. Present from the moment that the undo begins."""
HELD_AT = "held_at"
"""Checkpoint key: time from which the writes of clients wait for the task."""


def database_time_in(seconds: float) -> Combinable:
    """Return an instant by the clock of the database, which measures all leases."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )


def was_retried(task_id: str) -> Exists:
    """Match rows whose task, named by the column `task_id`, has a retry that was not cancelled."""
    retries = Task.objects.exclude(retry_of="").exclude(state=TaskState.CANCELLED)
    return Exists(retries.filter(retry_of=OuterRef(task_id)))


class TaskQuerySet(TenantQuerySet["Task"]):
    def active(self) -> Self:
        """Filter to unfinished tasks, in the words of the partial indexes that contain only them.

        A list of states alone would not be recognized: SQLite then reads the whole history.
        """
        return self.filter(state__in=ACTIVE, finished_at=None)

    def about(self, subject_id: str) -> Self:
        """Filter to tasks of one subject. Only unfinished ones have an index: see `changes_of`."""
        return self.filter(subject_id=subject_id)

    def changes_of(self, cluster_id: str) -> Self:
        """Filter to the tasks that change a cluster itself, in the words of their index."""
        return self.filter(quota_key=cluster_id, id_prefix=TASK_ID_PREFIX)

    def unfinished_of(self, organization_id: uuid.UUID) -> Self:
        """Filter to the organization's unfinished tasks, in the words of their partial index."""
        return self.filter(organization=organization_id, finished_at=None).order_by()

    def in_queue_order(self) -> Self:
        return self.order_by("-holds_lock", "-priority", "pk")

    def abandoned(self) -> Self:
        """Filter to tasks with an expired lease: their workers are dead or may no longer write."""
        return self.filter(state__in=LEASED, lease_until__lt=Now())

    def at_workers(self) -> Self:
        """Filter to tasks that occupy a worker, or did when a worker died less than a lease ago."""
        return self.filter(state__in=LEASED, lease_until__gte=Now()).exclude(worker="")

    def without_message(self, since: str) -> Self:
        """Filter to tasks for which no wake-up was sent since the instant in the column `since`."""
        return self.filter(Q(woken_at=None) | Q(woken_at__lt=F(since)))

    def woken(self) -> Self:
        """Filter to ready tasks whose wake-up is on its way, in the words of their index."""
        is_sent = Q(woken_at__isnull=False, woken_at__gte=F("not_before"))
        return self.ready().filter(is_sent).order_by()

    def mark_next_ready(self, lock: str) -> None:
        """Mark the next task of a lock as not woken, in the transaction that releases the lock.

        The next sweep then wakes the task even if this process ends before its own wake-up.
        """
        if lock:
            first = Task.objects.next_for(lock).values("pk")[:1]
            Task.objects.filter(pk__in=first).update(woken_at=None)

    def next_for(self, lock: str) -> Self:
        """Filter to the pending tasks of a lock, in their order."""
        return self.filter(lock=lock, state=TaskState.PENDING).order_by("-priority", "pk")

    def ready(self) -> Self:
        """Filter to pending tasks that are due and next for their lock."""
        same_lock = Task.objects.filter(lock=OuterRef("lock")).exclude(lock="")
        held = same_lock.filter(holds_lock=True)
        earlier = same_lock.filter(state=TaskState.PENDING).filter(
            Q(priority__gt=OuterRef("priority"))
            | Q(priority=OuterRef("priority"), pk__lt=OuterRef("pk"))
        )
        due = self.filter(state=TaskState.PENDING, not_before__lte=Now())
        # The first condition spares tasks without a lock the comparison with each other.
        return due.filter(Q(lock="") | (~Exists(held) & ~Exists(earlier)))


class Task(models.Model):
    """One piece of work. A worker claims the row; a message only wakes the worker."""

    task_id = models.CharField(max_length=40, unique=True)
    id_prefix = models.CharField(max_length=8, default=TASK_ID_PREFIX)
    """Prefix of `task_id`: `task` for tasks of clusters, `job` for those about backups. Each prefix
    has its own list, which an index serves.
    """
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    """Id of the cluster or backup that the task changes. Text, because the engine imports neither
    app.
    """
    lock = models.CharField(max_length=80, blank=True)
    """Tasks with the same lock run one at a time, in order. A task without a lock never waits."""
    quota_key = models.CharField(max_length=64, blank=True)
    """Tasks with the same key share one limit of unfinished tasks. The key is the cluster's id."""
    holds_lock = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0)
    """Tasks with a higher priority get the lock first."""
    arguments = models.JSONField(default=dict)
    checkpoint = models.JSONField(default=dict)
    """Facts that an attempt saves for the next one."""

    state = models.CharField(max_length=16, choices=TaskState.choices, default=TaskState.PENDING)
    progress = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)
    warnings = models.JSONField(default=list)

    epoch = models.PositiveIntegerField(default=0)
    """Number of the attempt that may write; incremented by every claim."""
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    requested_by = models.CharField(max_length=254, blank=True)
    retry_of = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["lock"],
                condition=Q(holds_lock=True) & ~Q(lock=""),
                name="task_running_lock_unique",
            ),
            models.CheckConstraint(
                condition=Q(state__in=TaskState.values), name="task_state_check"
            ),
            models.CheckConstraint(
                condition=Q(progress__lte=100) & (~Q(state=TaskState.SUCCEEDED) | Q(progress=100)),
                name="task_progress_check",
            ),
            models.CheckConstraint(
                condition=Q(holds_lock=False) | Q(state__in=LEASED),
                name="task_lock_leased_check",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="task_newest_first"),
            models.Index(fields=["organization", "id_prefix", "-id"], name="task_listed"),
            models.Index(
                fields=["organization", "id_prefix", "state", "-id"], name="task_by_state"
            ),
            models.Index(fields=["organization", "kind", "-id"], name="task_by_kind"),
            # SQLite chooses the index with the most equal columns. Therefore the state is one.
            models.Index(
                fields=["organization", "state", "-id"],
                condition=Q(state="FAILED"),
                name="task_failed",
            ),
            models.Index(
                fields=["organization", "state", "-id"],
                condition=Q(state="CANCELLED"),
                name="task_cancelled",
            ),
            models.Index(
                fields=["organization", "id_prefix", "-id"],
                condition=Q(finished_at__isnull=True),
                name="task_unfinished_listed",
            ),
            models.Index(
                fields=["subject_id"],
                condition=Q(finished_at__isnull=True),
                name="task_unfinished_by_subject",
            ),
            models.Index(
                fields=["lock"],
                condition=Q(finished_at__isnull=True),
                name="task_unfinished_by_lock",
            ),
            models.Index(fields=["not_before"], condition=Q(state="PENDING"), name="task_waiting"),
            models.Index(
                fields=["lease_until"],
                condition=Q(lease_until__isnull=False),
                name="task_leased",
            ),
            models.Index(
                fields=["lock", "-priority", "id"], condition=Q(state="PENDING"), name="task_turn"
            ),
            models.Index(
                fields=["organization", "-priority", "id"],
                condition=Q(state="PENDING"),
                name="task_in_turn",
            ),
            models.Index(
                fields=["organization", "woken_at"],
                condition=Q(state="PENDING", woken_at__isnull=False),
                name="task_woken",
            ),
            models.Index(
                fields=["organization", "quota_key"],
                condition=Q(finished_at__isnull=True),
                name="task_unfinished",
            ),
            models.Index(
                fields=["organization", "finished_at", "id_prefix", "state"],
                condition=Q(finished_at__isnull=False),
                name="task_ended",
            ),
            models.Index(fields=["retry_of"], condition=~Q(retry_of=""), name="task_retries"),
            models.Index(fields=["quota_key", "organization", "-id"], name="task_of_cluster"),
            models.Index(
                fields=["quota_key", "id_prefix", "organization", "-id"], name="task_changes_of"
            ),
        ]

    def __str__(self) -> str:
        return self.task_id

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


class TaskDay(models.Model):
    """Number of tasks of an organization that ended on one day (UTC), by their state.

    `days` counts the days that are over.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    day = models.DateField()
    id_prefix = models.CharField(max_length=8)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)

    objects = TenantQuerySet["TaskDay"].as_manager()

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "id_prefix"], name="task_day_unique"
            )
        ]
        indexes = [models.Index(fields=["day"], name="task_day_age")]

    def __str__(self) -> str:
        return f"{self.id_prefix} of {self.organization_id} on {self.day}"


class TaskEvent(models.Model):
    """Event in the history of a task. Rows are never changed, and removed when they expire."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now, editable=False)
    epoch = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=TaskState.choices)
    progress = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["at"], name="task_event_age")]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.message}"

    @property
    def is_the_end(self) -> bool:
        return self.state in FINISHED


HEARTBEAT_INTERVAL_SECONDS = 5.0
HEARTBEAT_TIMEOUT_SECONDS = 3 * HEARTBEAT_INTERVAL_SECONDS


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def of_live_workers(self) -> Self:
        """Filter to worker processes that have reported of late. A time in the future was written
        before the clock was set back, and proves nothing.
        """
        earliest, latest = (
            database_time_in(seconds)
            for seconds in (-HEARTBEAT_TIMEOUT_SECONDS, HEARTBEAT_TIMEOUT_SECONDS)
        )
        return self.filter(part__startswith="worker:", at__gte=earliest, at__lte=latest)


class Heartbeat(models.Model):
    """Last report of a part of the console, for the health answer.

    The sweeps and beat have one row each, and so has every worker and sweeper process.
    """

    part = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    is_working = models.BooleanField(default=True)
    """False if the process is running and takes no messages."""
    slots = models.PositiveSmallIntegerField(default=0)
    """Number of tasks that a worker runs at a time."""

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.part} at {self.at}"
