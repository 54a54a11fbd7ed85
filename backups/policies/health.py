"""How a policy stands: one table of rules, which the database sorts and filters by and people
read. What asks for a look comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from backups.policies.states import OVERDUE_AFTER
from backups.states import is_damaged
from vbase_console.tasks.states import ACTIVE, TaskState

if TYPE_CHECKING:
    from backups.policies.models import PolicyRunQuerySet


class PolicyHealth(models.TextChoices):
    """In the order in which they want to be looked at."""

    LATE = "LATE", "Late"
    """A run is planned and nobody begins it: nobody is there, or the schedule cannot be understood
    any more.
    """
    FAILING = "FAILING", "Failing"
    DAMAGED = "DAMAGED", "Damaged"
    """The last backup was found damaged."""
    INCOMPLETE = "INCOMPLETE", "Incomplete"
    """The last backup lacks a collection that was asked for."""
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
"""What of a standing is wanted: its name, or its place in the order."""


def health(runs: PolicyRunQuerySet, now: datetime) -> Case:
    return _case(runs, now, lambda each: Value(each.value, output_field=models.CharField()))


def severity(runs: PolicyRunQuerySet, now: datetime) -> Case:
    """A number to sort by; the smallest wants to be looked at first."""
    order = list(PolicyHealth)
    return _case(
        runs, now, lambda each: Value(order.index(each), output_field=models.IntegerField())
    )


def _case(runs: PolicyRunQuerySet, now: datetime, said: ToValue) -> Case:
    """While a run goes on, the last one that has ended decides if it went wrong: what fails every
    night does not leave the list of what fails for as long as it tries again.
    """
    result = _result("", said, otherwise=None)
    before = runs.filter(policy=OuterRef("pk")).ended().annotate(result=result)
    newest_first = before.order_by("-planned_at", "-pk").values("result")
    going = Coalesce(Subquery(newest_first[:1]), said(PolicyHealth.RUNNING))
    return Case(
        When(Q(is_active=False), then=said(PolicyHealth.PAUSED)),
        When(Q(next_run_at__lte=now - OVERDUE_AFTER), then=said(PolicyHealth.LATE)),
        When(Q(last_run=None), then=said(PolicyHealth.UNTRIED)),
        When(Q(last_run__job__task__state__in=ACTIVE), then=going),
        default=_result("last_run__", said, otherwise=PolicyHealth.GOOD),
        output_field=said(PolicyHealth.GOOD).output_field,
    )


def _result(run: str, said: ToValue, *, otherwise: PolicyHealth | None) -> Case:
    """What is to be said of a run that has ended."""
    state = f"{run}job__task__state"
    return Case(
        When(~Q(**{f"{run}skip_reason": ""}), then=said(PolicyHealth.SKIPPED)),
        When(Q(**{state: TaskState.FAILED}), then=said(PolicyHealth.FAILING)),
        When(Q(**{state: TaskState.CANCELLED}), then=said(PolicyHealth.CANCELLED)),
        When(is_damaged(f"{run}job__backup__"), then=said(PolicyHealth.DAMAGED)),
        When(~Q(**{f"{run}job__backup__omissions": []}), then=said(PolicyHealth.INCOMPLETE)),
        default=said(otherwise) if otherwise else None,
        output_field=said(PolicyHealth.GOOD).output_field,
    )
