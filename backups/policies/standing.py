"""How a policy stands: one table of rules, which the database sorts and filters by and people
read. What asks for a look comes first.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Case, Q, Value, When

from vbase_console.tasks.states import ACTIVE, TaskState


class Standing(models.TextChoices):
    """In the order in which they want to be looked at."""

    FAILING = "FAILING", "Failing"
    INCOMPLETE = "INCOMPLETE", "Incomplete"
    """The last backup lacks a collection that was asked for."""
    SKIPPED = "SKIPPED", "Skipped"
    CANCELLED = "CANCELLED", "Cancelled"
    RUNNING = "RUNNING", "Running"
    UNTRIED = "UNTRIED", "No run yet"
    GOOD = "GOOD", "Good"
    PAUSED = "PAUSED", "Paused"


RULES: tuple[tuple[Q, Standing], ...] = (
    (Q(is_active=False), Standing.PAUSED),
    (Q(last_run=None), Standing.UNTRIED),
    (~Q(last_run__skip_reason=""), Standing.SKIPPED),
    (Q(last_run__job__task__state=TaskState.FAILED), Standing.FAILING),
    (Q(last_run__job__task__state=TaskState.CANCELLED), Standing.CANCELLED),
    (Q(last_run__job__task__state__in=ACTIVE), Standing.RUNNING),
    (~Q(last_run__job__backup__missing=[]), Standing.INCOMPLETE),
)
"""The first one that holds; none: GOOD."""


def standing() -> Case:
    whens = (When(rule, then=Value(name.value)) for rule, name in RULES)
    return Case(*whens, default=Value(Standing.GOOD.value), output_field=models.CharField())


def attention() -> Case:
    """A number to sort by; the smallest wants to be looked at first."""
    order = list(Standing)
    whens = (When(rule, then=Value(order.index(name))) for rule, name in RULES)
    default = Value(order.index(Standing.GOOD))
    return Case(*whens, default=default, output_field=models.IntegerField())
