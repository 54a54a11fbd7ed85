"""Tasks that belong together as a story: retries, and the backups that an upgrade waited for."""

from __future__ import annotations

import dataclasses

from django.urls import reverse

from clusters.models import Cluster
from clusters.upgrades import BACKUPS
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TASK_ID_PREFIX

MAX_STEPS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoryStep:
    task: Task
    address: str
    target: Cluster | None = None
    """Cluster that the step deploys or restores into."""


def step_of(principal: Principal, task: Task, target: Cluster | None = None) -> StoryStep:
    page = "task-detail" if task.id_prefix == TASK_ID_PREFIX else "job-detail"
    address = reverse(page, args=[principal.organization_name, task.task_id])
    return StoryStep(task=task, address=address, target=target)


def story_of_task(principal: Principal, task: Task) -> list[StoryStep]:
    """Return the task between the one that it repeats, the backups that it waited for, and its
    retries, the oldest first. Empty if it stands alone.
    """
    visible = Task.objects.visible_to(principal)
    earlier = visible.filter(task_id__in=[*task.checkpoint.get(BACKUPS, []), task.retry_of])
    retries = visible.exclude(retry_of="").filter(retry_of=task.task_id)
    related = [*earlier[:MAX_STEPS], *retries[:MAX_STEPS]]
    if not related:
        return []
    return [step_of(principal, step) for step in sorted([task, *related], key=lambda t: t.pk)]
