"""Number of tasks that ended on each day (UTC), for the picture of the operations.

A sweep counts the days that are over, and a request the days after the last kept one, both from an
index. Tasks are never deleted and their ends never change, so each day can be counted at any time.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from vbase_console.core import batch_delete
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task, TaskDay
from vbase_console.tasks.states import FINISHED, TASK_ID_PREFIX, TaskState

SHOWN_DAYS = 30
A_DAY = timedelta(days=1)
COLUMNS = {state: state.lower() for state in FINISHED}
"""State → column of its number."""

Counts = dict[date, Counter[TaskState]]


def ended_on(day: date) -> Q:
    """Return the condition for tasks that ended on a day, in the words of their index."""
    return Q(finished_at__gte=_start_of(day), finished_at__lt=_start_of(day + A_DAY))


def shown_days() -> list[date]:
    """Return the days of the picture, the oldest first."""
    today = timezone.now().astimezone(UTC).date()
    return [today - ago * A_DAY for ago in range(SHOWN_DAYS - 1, -1, -1)]


def counts_of(principal: Principal, id_prefixes: Container[str]) -> Counts:
    """Count the ended tasks of the shown days whose ids have one of these prefixes."""
    first, *_ = shown_days()
    counts: Counts = defaultdict(Counter)
    kept = TaskDay.objects.visible_to(principal).filter(day__gte=first)
    uncounted = first
    for day, id_prefix, *numbers in kept.values_list("day", "id_prefix", *COLUMNS.values()):
        uncounted = max(uncounted, day + A_DAY)
        if id_prefix in id_prefixes:
            counts[day].update(dict(zip(COLUMNS, numbers, strict=True)))
    later = _ended_since(Task.objects.visible_to(principal), uncounted)
    for day, id_prefix, state, number in later:
        if id_prefix in id_prefixes:
            counts[day][TaskState(state)] += number
    return counts


def keep_days() -> int:
    """Count the days that are over and not kept yet. Returns the number of organizations that had
    such days.
    """
    yesterday = _today() - A_DAY
    newest = TaskDay.objects.order_by().values("organization").annotate(newest=Max("day"))
    kept = {row["organization"]: row["newest"] for row in newest}
    real = Organization.objects.filter(is_demo=False).values_list("pk", flat=True)
    behind = [pk for pk in real if kept.get(pk, date.min) < yesterday]
    for pk in behind:
        keep_days_of(pk, since=kept.get(pk))
    batch_delete.remove(TaskDay.objects.filter(day__lt=_today() - SHOWN_DAYS * A_DAY))
    return len(behind)


def keep_days_of(organization_id: uuid.UUID, *, since: date | None = None) -> None:
    """Store the numbers of the days from `since` to yesterday.

    The last kept day is counted again, because the clock may have been set back since. Yesterday
    has a row even if no task ended, which tells that it was counted.
    """
    today = _today()
    first = max(since or date.min, today - SHOWN_DAYS * A_DAY)
    rows = {(today - A_DAY, TASK_ID_PREFIX): Counter[str]()}
    tasks = Task.objects.filter(organization=organization_id, finished_at__lt=_start_of(today))
    for day, id_prefix, state, number in _ended_since(tasks, first):
        rows.setdefault((day, id_prefix), Counter())[COLUMNS[TaskState(state)]] = number
    TaskDay.objects.bulk_create(
        (
            TaskDay(organization_id=organization_id, day=day, id_prefix=id_prefix, **numbers)
            for (day, id_prefix), numbers in rows.items()
        ),
        update_conflicts=True,
        unique_fields=["organization", "day", "id_prefix"],
        update_fields=list(COLUMNS.values()),
    )


def _ended_since(tasks: QuerySet[Task], day: date) -> Iterable[tuple[Any, ...]]:
    ended = tasks.filter(finished_at__gte=_start_of(day)).order_by()
    by_day = ended.annotate(day=TruncDate("finished_at", tzinfo=UTC))
    return by_day.values_list("day", "id_prefix", "state").annotate(number=Count("*"))


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
