"""Health of policies: one table of rules, by which the database sorts and filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import models
from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone as clock

from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.states import OVERDUE_AFTER
from backups.states import is_damaged
from vbase_console.tasks.states import ACTIVE, TaskState

Policies = TypeVar("Policies", bound=QuerySet[BackupPolicy])


class PolicyHealth(models.TextChoices):
    """Health of a policy, the most severe first."""

    LATE = "LATE", "Late"
    """A planned run was not started: the dispatcher is down, or the schedule is not valid."""
    FAILING = "FAILING", "Failing"
    DAMAGED = "DAMAGED", "Damaged"
    """The last backup was found damaged."""
    INCOMPLETE = "INCOMPLETE", "Incomplete"
    """The last backup lacks a requested collection."""
    SKIPPED = "SKIPPED", "Skipped"
    CANCELLED = "CANCELLED", "Cancelled"
    RUNNING = "RUNNING", "Running"
    UNTRIED = "UNTRIED", "No run yet"
    GOOD = "GOOD", "Good"
    PAUSED = "PAUSED", "Paused"


UNHEALTHY = (
    PolicyHealth.LATE,
    PolicyHealth.FAILING,
    PolicyHealth.DAMAGED,
    PolicyHealth.INCOMPLETE,
    PolicyHealth.SKIPPED,
    PolicyHealth.CANCELLED,
)
ToValue = Callable[[PolicyHealth], Value]
"""Conversion of a health to an SQL value: its name, or its place in the order."""


def with_health(policies: Policies) -> Policies:
    """Annotate `health` and `severity`, a number to sort by; the smallest is the most severe."""
    order, now = list(PolicyHealth), clock.now()
    return policies.annotate(
        health=_case(now, lambda health: Value(health.value, output_field=models.CharField())),
        severity=_case(
            now, lambda health: Value(order.index(health), output_field=models.IntegerField())
        ),
    )


def _case(now: datetime, to_value: ToValue) -> Case:
    """Map policies to their health.

    During a run the last finished one decides, so that a policy that fails every night stays among
    the failing ones while it runs again.
    """
    result = _result("", to_value, otherwise=None)
    before = PolicyRun.objects.filter(policy=OuterRef("pk")).ended().annotate(result=result)
    newest_first = before.order_by("-planned_at", "-pk").values("result")
    during_run = Coalesce(Subquery(newest_first[:1]), to_value(PolicyHealth.RUNNING))
    return Case(
        When(Q(is_active=False), then=to_value(PolicyHealth.PAUSED)),
        When(Q(next_run_at__lte=now - OVERDUE_AFTER), then=to_value(PolicyHealth.LATE)),
        When(Q(last_run=None), then=to_value(PolicyHealth.UNTRIED)),
        When(Q(last_run__job__task__state__in=ACTIVE), then=during_run),
        default=_result("last_run__", to_value, otherwise=PolicyHealth.GOOD),
        output_field=to_value(PolicyHealth.GOOD).output_field,
    )


def _result(run: str, to_value: ToValue, *, otherwise: PolicyHealth | None) -> Case:
    """Map a finished run to a health."""
    state = f"{run}job__task__state"
    return Case(
        When(~Q(**{f"{run}skip_reason": ""}), then=to_value(PolicyHealth.SKIPPED)),
        When(Q(**{state: TaskState.FAILED}), then=to_value(PolicyHealth.FAILING)),
        When(Q(**{state: TaskState.CANCELLED}), then=to_value(PolicyHealth.CANCELLED)),
        When(is_damaged(f"{run}job__backup__"), then=to_value(PolicyHealth.DAMAGED)),
        When(~Q(**{f"{run}job__backup__omissions": []}), then=to_value(PolicyHealth.INCOMPLETE)),
        default=to_value(otherwise) if otherwise else None,
        output_field=to_value(PolicyHealth.GOOD).output_field,
    )
