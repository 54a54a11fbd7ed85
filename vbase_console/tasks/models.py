"""The row of a task and its history. Moves live in `attempts` (what a worker does) and
`services` (what people ask).
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.tasks.states import ACTIVE, FINISHED, LEASED, TaskState


def database_time_in(seconds: float) -> Combinable:
    """An instant by the database's clock, the only one that leases are measured with."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )


def was_retried(task_id: str) -> Exists:
    """Whether the task that the column `task_id` names was tried again: what became of that is
    said by the newer task, unless it was cancelled.
    """
    again = Task.objects.exclude(retry_of="").exclude(state=TaskState.CANCELLED)
    return Exists(again.filter(retry_of=OuterRef(task_id)))


class TaskQuerySet(TenantQuerySet["Task"]):
    def active(self) -> Self:
        return self.filter(state__in=ACTIVE)

    def about(self, subject_id: str) -> Self:
        return self.filter(subject_id=subject_id)

    def unfinished_of(self, organization_id: uuid.UUID) -> Self:
        """Filter to the organization's unfinished tasks, in the words of their partial index."""
        return self.filter(organization=organization_id, finished_at=None).order_by()

    def in_queue_order(self) -> Self:
        """As a lock serves them: what runs, then by priority, then as accepted."""
        return self.order_by("-holds_lock", "-priority", "pk")

    def abandoned(self) -> Self:
        """An attempt's lease ended without the attempt: its worker is dead, or paused and no
        longer allowed to write.
        """
        return self.filter(state__in=LEASED, lease_until__lt=Now())

    def mark_next_ready(self, lock: str) -> None:
        """`lock` may be free now: whoever is first in line has not been told. Written with what
        freed it, so that the next sweep tells them even if nobody lives to send the message.
        """
        if lock:
            first = Task.objects.next_for(lock).values("pk")[:1]
            Task.objects.filter(pk__in=first).update(woken_at=None)

    def next_for(self, lock: str) -> Self:
        """Those that wait for it, the next one first."""
        return self.filter(lock=lock, state=TaskState.PENDING).order_by("-priority", "pk")

    def ready(self) -> Self:
        """Waiting tasks whose time and turn have come."""
        same_lock = Task.objects.filter(lock=OuterRef("lock")).exclude(lock="")
        held = same_lock.filter(holds_lock=True)
        earlier = same_lock.filter(state=TaskState.PENDING).filter(
            Q(priority__gt=OuterRef("priority"))
            | Q(priority=OuterRef("priority"), pk__lt=OuterRef("pk"))
        )
        due = self.filter(state=TaskState.PENDING, not_before__lte=Now())
        # Said first, so that those who wait for nobody are not compared with each other.
        return due.filter(Q(lock="") | (~Exists(held) & ~Exists(earlier)))


class Task(models.Model):
    """One piece of work. The row is the truth; a message only wakes a worker to look at it."""

    task_id = models.CharField(max_length=40, unique=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    """What it is about; text, so that the engine knows neither clusters nor backups."""
    lock = models.CharField(max_length=80, blank=True)
    """Of the tasks with the same lock one runs at a time, in order; empty: it waits for nobody."""
    quota_key = models.CharField(max_length=64, blank=True)
    """Tasks with the same key share one limit of unfinished tasks: the cluster's id. Text, because
    the engine does not import clusters.
    """
    holds_lock = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0)
    """Higher goes first among the tasks that wait for one lock."""
    arguments = models.JSONField(default=dict)
    checkpoint = models.JSONField(default=dict)
    """What an attempt noted for the next one."""

    state = models.CharField(max_length=16, choices=TaskState.choices, default=TaskState.PENDING)
    progress = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)
    warnings = models.JSONField(default=list)

    epoch = models.PositiveIntegerField(default=0)
    """The number of the attempt that may write; raised by every claim."""
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    requested_by = models.CharField(max_length=254, blank=True)
    retry_of = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
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
            models.Index(fields=["organization", "-id"], name="task_by_organization"),
            models.Index(fields=["subject_id", "-id"], name="task_by_subject"),
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
                fields=["organization", "quota_key"],
                condition=Q(finished_at__isnull=True),
                name="task_unfinished",
            ),
            models.Index(fields=["retry_of"], condition=~Q(retry_of=""), name="task_retries"),
        ]

    def __str__(self) -> str:
        return self.task_id

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


class TaskEvent(models.Model):
    """One thing that happened to a task; rows are added and after their time removed, never
    changed.
    """

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
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


class Heartbeat(models.Model):
    """When a part of the console was last seen at work: what the health answer is made of. Every
    worker and sweeper has a row of its own beside those of the sweeps and of beat.
    """

    part = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    is_working = models.BooleanField(default=True)
    """False: the process lives and takes no messages."""

    def __str__(self) -> str:
        return f"{self.part} at {self.at}"
