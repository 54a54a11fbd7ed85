"""Share of one organization in the workers, so that its tasks never occupy all of them.

docs/states.md describes the rule. `attempts.claim` enforces it. `services` and the sweep send no
more wake-ups than the share has room for, so that the queue of the broker serves organizations in
turn.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import RowNumber

from vbase_console.organizations.models import Organization
from vbase_console.organizations.versions import lock_version
from vbase_console.tasks.models import (
    HELD_AT,
    UNDOING,
    Heartbeat,
    Task,
    TaskQuerySet,
    database_time_in,
)

HEALING_PRIORITY = 50
"""Priority of tasks that heal a cluster. Only the console requests them.

They come before waiting tasks, because a restore would wait forever for a broken cluster.
"""

ACTIVE_DAYS = 7
"""An organization whose newest task is older, and finished, needs no free slot."""


def share_limit() -> int | None:
    """Return the number of tasks of one organization that may run at a time.

    Returns None while one organization alone is active, and if its share is all workers.
    """
    percent: int = settings.ORGANIZATION_SHARE_PERCENT
    if percent == 100 or not _are_several_organizations_active():
        return None
    return max(1, _slots() * percent // 100)


def _are_several_organizations_active() -> bool:
    of_organization = Task.objects.filter(organization=OuterRef("pk"))
    newest = of_organization.order_by("-pk").values("created_at")[:1]
    is_recent = Q(newest__gte=database_time_in(-timedelta(days=ACTIVE_DAYS).total_seconds()))
    has_unfinished = Exists(of_organization.filter(finished_at=None))
    organizations = Organization.objects.filter(is_demo=False).alias(newest=Subquery(newest))
    return organizations.filter(is_recent | has_unfinished).order_by()[:2].count() == 2


def _slots() -> int:
    """Count the tasks that all workers together run at a time, as their heartbeats report it."""
    workers = Heartbeat.objects.of_live_workers().filter(is_working=True)
    return workers.aggregate(slots=Sum("slots"))["slots"] or settings.WORKER_CONCURRENCY


def urgent() -> Q:
    """Condition for urgent tasks, which may use one place beyond the share.

    Clients wait for them, or another task waits until they have undone their changes.
    """
    is_undone = Q(cancel_requested_at__isnull=False) | Q(checkpoint__has_key=UNDOING)
    return Q(priority=HEALING_PRIORITY) | Q(checkpoint__has_key=HELD_AT) | is_undone


def is_within_share(task: Task, limit: int | None) -> bool:
    """Tell whether a task that was just claimed is within the share of its organization.

    Claims of one organization are counted one at a time, until their transactions end.
    """
    if limit is None:
        return True
    lock_version(task.organization_id)
    running = running_by_organization()[task.organization_id]
    if running == limit + 1:
        return Task.objects.filter(urgent(), pk=task.pk).exists()
    return running <= limit


def within_shares(task_ids: Sequence[str], limit: int) -> Iterator[str]:
    """Yield, in their order, the tasks for which their organizations have room."""
    known = Task.objects.filter(task_id__in=task_ids).annotate(is_urgent=urgent())
    rows = known.values_list("task_id", "organization", "is_urgent")
    places = {task_id: (owner, limit + is_urgent) for task_id, owner, is_urgent in rows}
    woken = Task.objects.woken().filter(organization__in={owner for owner, _ in places.values()})
    used = running_by_organization() + _count_each(woken.exclude(task_id__in=task_ids))
    for task_id in task_ids:
        owner, most = places.get(task_id, (None, limit))
        if owner is None:
            yield task_id
        elif used[owner] < most:
            used[owner] += 1
            yield task_id


def first_of_each(tasks: TaskQuerySet, limit: int | None, used: Counter[uuid.UUID]) -> TaskQuerySet:
    """Filter to the first tasks of each organization with room, as many as may run at a time."""
    if limit is None:
        return tasks
    full, full_for_urgent = (
        [organization for organization, count in used.items() if count >= places]
        for places in (limit, limit + 1)
    )
    has_room = ~Q(organization__in=full) | Q(is_urgent=True) & ~Q(organization__in=full_for_urgent)
    order = ["-is_urgent", "-priority", "pk"]
    turn = Window(RowNumber(), partition_by=F("organization"), order_by=order)
    with_room = tasks.annotate(is_urgent=urgent()).filter(has_room)
    return with_room.annotate(turn=turn).filter(turn__lte=limit + 1).order_by("turn")


def running_by_organization() -> Counter[uuid.UUID]:
    """Count the running tasks of all organizations, which are no more than all slots.

    A condition for one organization would make SQLite read the history of the organization.
    """
    running = Task.objects.at_workers().order_by()
    return Counter(running.values_list("organization", flat=True))


def places_in_use() -> Counter[uuid.UUID]:
    """Count the running tasks of all organizations, and those whose wake-up is on its way."""
    return running_by_organization() + _count_each(Task.objects.woken())


def _count_each(tasks: TaskQuerySet) -> Counter[uuid.UUID]:
    return Counter(dict(tasks.values_list("organization").annotate(Count("pk"))))
