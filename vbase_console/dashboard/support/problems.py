"""Problems across organizations, for the index of the admin. Sample data is left out."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from urllib.parse import urlencode

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.states import OVERDUE_AFTER
from clusters.models import Cluster
from clusters.states import ServiceStatus
from vbase_console.tasks.models import Heartbeat, Task, was_retried
from vbase_console.tasks.states import TaskState
from vbase_console.web.templatetags.console import words

MAX_ROWS = 10
NEWEST_TASKS = 10_000
"""Failed tasks are searched among this many, because no index lists those of all organizations."""
SILENT_AFTER = timedelta(seconds=30)
BROKEN = (ServiceStatus.ERROR, ServiceStatus.UPDATE_FAILED, ServiceStatus.UNKNOWN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    title: str
    address: str
    organization: str = ""
    state: str = ""
    message: str = ""
    at: datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemList:
    title: str
    all_address: str
    rows: list[Problem]


def problem_lists() -> list[ProblemList]:
    """Return the kinds that have problems, most severe first. Each costs one or two statements."""
    now = timezone.now()
    lists = [
        ProblemList(
            title="Parts of the console without a heartbeat",
            all_address=reverse("admin:tasks_heartbeat_changelist"),
            rows=[
                Problem(
                    title=heartbeat.part,
                    address=reverse("admin:tasks_heartbeat_change", args=[heartbeat.pk]),
                    at=heartbeat.at,
                )
                for heartbeat in Heartbeat.objects.filter(
                    at__lt=now - SILENT_AFTER, part__in=["worker", "beat"]
                )
            ],
        ),
        ProblemList(
            title="Clusters in error",
            all_address=_list("clusters_cluster", status=ServiceStatus.ERROR),
            rows=[_cluster(cluster) for cluster in _broken_clusters()],
        ),
        ProblemList(
            title="Failed tasks without a retry",
            all_address=_list("tasks_task", state=TaskState.FAILED),
            rows=[_task(task) for task in _failed_tasks()],
        ),
        ProblemList(
            title="Late policies",
            all_address=reverse("admin:policies_backuppolicy_changelist"),
            rows=[_policy(policy) for policy in _late_policies(now)],
        ),
        ProblemList(
            title="Damaged backups",
            all_address=_list("backups_backup", damaged="yes"),
            rows=[_backup(backup) for backup in _damaged_backups()],
        ),
        ProblemList(
            title="Locked sign-ins",
            all_address=reverse("admin:axes_accessattempt_changelist"),
            rows=[
                Problem(
                    title=attempt.username or "",
                    address=reverse("admin:axes_accessattempt_change", args=[attempt.pk]),
                    message=f"from {attempt.ip_address}",
                    at=attempt.attempt_time,
                )
                for attempt in AccessAttempt.objects.filter(
                    attempt_time__gte=now - settings.AXES_COOLOFF_TIME,
                    failures_since_start__gte=settings.AXES_FAILURE_LIMIT,
                ).order_by("-attempt_time")[:MAX_ROWS]
            ],
        ),
    ]
    return [found for found in lists if found.rows]


def _list(page: str, **filters: str) -> str:
    query = {
        f"{name}__exact" if name in ("status", "state") else name: value
        for name, value in filters.items()
    }
    return f"{reverse(f'admin:{page}_changelist')}?{urlencode(query)}"


def _broken_clusters() -> QuerySet[Cluster]:
    clusters = Cluster.objects.of_real_organizations().filter(status__in=BROKEN)
    return clusters.select_related("organization").order_by("-updated_at")[:MAX_ROWS]


def _cluster(cluster: Cluster) -> Problem:
    return Problem(
        title=cluster.name,
        address=reverse("admin-cluster-story", args=[cluster.pk]),
        organization=cluster.organization.name,
        state=cluster.status,
        message=cluster.status_message,
        at=cluster.updated_at,
    )


def _failed_tasks() -> QuerySet[Task]:
    newest = Task.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    failed = Task.objects.filter(pk__gt=newest - NEWEST_TASKS, state=TaskState.FAILED)
    unresolved = failed.of_real_organizations().filter(~was_retried("task_id"))
    return unresolved.select_related("organization").order_by("-pk")[:MAX_ROWS]


def _task(task: Task) -> Problem:
    return Problem(
        title=f"{words(task.kind)} {task.task_id}",
        address=reverse("admin:tasks_task_change", args=[task.pk]),
        organization=task.organization.name,
        state=task.state,
        message=task.message,
        at=task.finished_at,
    )


def _late_policies(now: datetime) -> QuerySet[BackupPolicy]:
    late = BackupPolicy.objects.due(now - OVERDUE_AFTER)
    return late.select_related("organization", "cluster").order_by("next_run_at")[:MAX_ROWS]


def _policy(policy: BackupPolicy) -> Problem:
    return Problem(
        title=f"{policy.cluster.name}: {policy.name}",
        address=reverse("admin:policies_backuppolicy_change", args=[policy.pk]),
        organization=policy.organization.name,
        message="The run was not started.",
        at=policy.next_run_at,
    )


def _damaged_backups() -> QuerySet[Backup]:
    damaged = Backup.objects.of_real_organizations().damaged()
    return damaged.select_related("organization", "cluster").order_by("-created_at")[:MAX_ROWS]


def _backup(backup: Backup) -> Problem:
    return Problem(
        title=backup.name,
        address=reverse("admin:backups_backup_change", args=[backup.pk]),
        organization=backup.organization.name,
        state="DAMAGED",
        message=backup.damage_text,
        at=backup.created_at,
    )
