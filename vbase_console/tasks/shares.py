"""Share of one organization in the workers, so that its tasks never occupy all of them.

docs/states.md describes the rule. `attempts.claim` enforces it. `services` and the sweep send no
more wake-ups than the share has room for, so that the queue of the broker serves organizations in
turn.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Sum, Window
from django.db.models.functions import RowNumber

from vbase_console.organizations.models import Organization
from vbase_console.organizations.versions import lock_version
from vbase_console.tasks.models import Heartbeat, Task, TaskQuerySet

HEALING_PRIORITY = 50
"""Priority of tasks that heal a cluster. Only the console requests them.

They come before waiting tasks, because a restore would wait forever for a broken cluster. The
clients of the cluster wait, so they are outside of the share.
"""


def share_limit() -> int | None:
    """Return the number of tasks of one organization that may run at a time.

    Returns None while one organization alone has tasks, and if its share is all workers.
    """
    percent: int = settings.ORGANIZATION_SHARE_PERCENT
    if percent == 100 or not _have_several_organizations_tasks():
        return None
    return max(1, _slots() * percent // 100)


def _have_several_organizations_tasks() -> bool:
    has_tasks = Exists(Task.objects.filter(organization=OuterRef("pk")))
    return Organization.objects.filter(has_tasks, is_demo=False).order_by()[:2].count() == 2


def _slots() -> int:
    """Count the tasks that all workers together run at a time, as their heartbeats report it."""
    workers = Heartbeat.objects.of_live_workers()
    return workers.aggregate(slots=Sum("slots"))["slots"] or settings.WORKER_CONCURRENCY


def is_within_share(task: Task, limit: int | None) -> bool:
    """Tell whether a task that was just claimed is within the share of its organization.

    Claims of one organization are counted one at a time, until their transactions end.
    """
    if limit is None or task.priority == HEALING_PRIORITY:
        return True
    lock_version(task.organization_id)
    return _at_workers().filter(organization=task.organization_id).count() <= limit


def within_shares(task_ids: Sequence[str], limit: int) -> Iterator[str]:
    """Yield, in their order, the tasks for which their organizations have room."""
    tasks = {task.task_id: task for task in Task.objects.filter(task_id__in=task_ids)}
    used = _used_by({task.organization_id for task in tasks.values()}, task_ids)
    for task_id in task_ids:
        task = tasks.get(task_id)
        if task is None or task.priority == HEALING_PRIORITY:
            yield task_id
        elif used[task.organization_id] < limit:
            used[task.organization_id] += 1
            yield task_id


def first_of_each(tasks: TaskQuerySet, limit: int | None) -> TaskQuerySet:
    """Filter to the first tasks of each organization, as many as its share has places."""
    if limit is None:
        return tasks
    turn = Window(RowNumber(), partition_by=F("organization"), order_by=["-priority", "pk"])
    return tasks.annotate(turn=turn).filter(turn__lte=limit).order_by("turn")


def _at_workers() -> TaskQuerySet:
    return Task.objects.at_workers().exclude(priority=HEALING_PRIORITY)


def _used_by(organization_ids: set[uuid.UUID], but: Sequence[str]) -> Counter[uuid.UUID]:
    """Count the places of organizations in use: by running tasks, and by tasks whose wake-up is on
    its way.
    """
    woken = Task.objects.ready().filter(woken_at__gte=F("not_before"))
    used: Counter[uuid.UUID] = Counter()
    for tasks in (_at_workers(), woken.exclude(priority=HEALING_PRIORITY)):
        counted = tasks.filter(organization__in=organization_ids).exclude(task_id__in=but)
        per_organization = counted.order_by().values_list("organization").annotate(Count("pk"))
        used.update(dict(per_organization))
    return used
