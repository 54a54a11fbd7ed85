"""Problems across organizations, for the index of the admin. Sample data is left out.

Each kind costs one or two statements, reads at most `MAX_ROWS` + 1 rows, and is found through an
index or among a bounded number of rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backups.models import Backup
from backups.policies.health import PolicyHealth, with_health
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.outcomes import why_of
from backups.policies.states import OVERDUE_AFTER, RETENTION_OVERDUE_AFTER
from backups.policies.templatetags.policies import health_badge
from backups.protection.models import InventoryScan
from clusters.filters import is_unshipped
from clusters.models import Cluster
from clusters.states import ServiceStatus
from vbase_console.api.health import check_health
from vbase_console.core.admin_columns import address_of
from vbase_console.core.component_health import Component, HealthStatus
from vbase_console.dashboard.support.machine import machine_problems
from vbase_console.organizations.models import ApiKey
from vbase_console.tasks.models import Task, was_retried
from vbase_console.tasks.states import TaskState
from vbase_console.web.templatetags.console import badge, plain, task_badge, words

MAX_ROWS = 10
NEWEST_TASKS = 10_000
"""Failed tasks are searched among this many, because no index lists those of all organizations."""
NEWEST_RUNS = 10_000
"""Policies are judged if their last run is among this many, because no index has their health."""
QUEUED_LONG = timedelta(minutes=5)
"""Time after which a task that could start, or whose worker is silent, is a problem."""
MIN_SCAN_FAILURES = 5
EXPIRES_SOON = timedelta(days=14)
BROKEN = (ServiceStatus.ERROR, ServiceStatus.UPDATE_FAILED, ServiceStatus.UNKNOWN)
FAILING = (
    PolicyHealth.FAILING,
    PolicyHealth.DAMAGED,
    PolicyHealth.INCOMPLETE,
    PolicyHealth.SKIPPED,
)
COMPONENTS = {
    "broker": "Message broker",
    "worker": "Workers",
    "beat": "Scheduler",
    "store": "Backup store",
    "confinement": "Confinement of clusters",
}
"""Component of the health answer → name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    title: str
    address: str = ""
    organization: str = ""
    organization_address: str = ""
    badge: SafeString = dataclasses.field(default_factory=SafeString)
    message: str = ""
    at: datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemList:
    title: str
    remedy: str
    """Sentence that says what to do."""
    all_address: str
    rows: list[Problem]
    has_more: bool


def problem_lists() -> list[ProblemList]:
    """Return the kinds that have problems, most severe first."""
    now = timezone.now()
    lists = []
    for title, remedy, all_address, find in KINDS:
        found = list(islice(find(now), MAX_ROWS + 1))
        if found:
            lists.append(
                ProblemList(
                    title=title,
                    remedy=remedy,
                    all_address=all_address(),
                    rows=found[:MAX_ROWS],
                    has_more=len(found) > MAX_ROWS,
                )
            )
    return lists


def _of(
    row: Cluster | Task | BackupPolicy | Backup | ApiKey, title: str, **more: object
) -> Problem:
    """Problem of a row of an organization, with links to both."""
    return Problem(
        **{  # type: ignore[arg-type]
            "title": title,
            "address": address_of(row),
            "organization": row.organization.name,
            "organization_address": address_of(row.organization),
            **more,
        }
    )


def _components(now: datetime) -> Iterable[Problem]:
    parts = check_health()["components"]
    for name, title in COMPONENTS.items():
        part = parts[name]
        if isinstance(part, Component) and part.status is not HealthStatus.SERVING:
            yield Problem(
                title=title,
                address=_list("tasks_heartbeat"),
                badge=badge("ERROR" if part.status is HealthStatus.NOT_SERVING else "DEGRADED"),
                message=part.message,
                at=part.last_seen_at,
            )
    for title, message in machine_problems(now):
        yield Problem(title=title, message=message)


def _clusters(now: datetime) -> Iterable[Problem]:
    broken = Cluster.objects.of_real_organizations().filter(status__in=BROKEN)
    for cluster in broken.select_related("organization").order_by("-updated_at")[: MAX_ROWS + 1]:
        yield _of(
            cluster,
            cluster.name,
            address=_story(cluster.pk),
            badge=badge(cluster.status),
            message=plain(cluster.status_message),
            at=cluster.updated_at,
        )


def _task(task: Task, cluster: str, at: datetime | None, message: str) -> Problem:
    return _of(
        task,
        f"{cluster}: {words(task.kind).lower()}",
        badge=task_badge(task.state),
        at=at,
        message=plain(message),
    )


def _waiting_tasks(now: datetime) -> Iterable[Problem]:
    """Tasks that could start, and tasks whose worker is silent."""
    # Only unfinished tasks have an index; SQLite does not conclude it from their states.
    tasks = Task.objects.of_real_organizations().filter(finished_at=None)
    tasks = tasks.select_related("organization")
    ready = tasks.ready().filter(not_before__lt=now - QUEUED_LONG).order_by("not_before")
    silent = tasks.abandoned().filter(lease_until__lt=now - QUEUED_LONG).order_by("lease_until")
    waiting = [*ready[: MAX_ROWS + 1], *silent[: MAX_ROWS + 1]]
    for task, name in _with_clusters(waiting):
        if task.lease_until is None:
            message = task.message or "The task waits for a worker."
            yield _task(task, name, task.not_before, message)
        else:
            message = f"Its worker {task.worker} no longer reports."
            yield _task(task, name, task.lease_until, message)


def _failed_tasks(now: datetime) -> Iterable[Problem]:
    """Failed tasks without a retry. Those of policies are left to their policies."""
    newest = Task.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    failed = Task.objects.filter(pk__gt=newest - NEWEST_TASKS, state=TaskState.FAILED)
    failed = failed.of_real_organizations().filter(~was_retried("task_id"))
    unresolved = failed.filter(backup_job__policy_run=None).select_related("organization")
    for task, name in _with_clusters(list(unresolved.order_by("-pk")[: MAX_ROWS + 1])):
        yield _task(task, name, task.finished_at, task.message)


def _with_clusters(tasks: list[Task]) -> Iterable[tuple[Task, str]]:
    """Yield each task with the name of its cluster."""
    clusters = Cluster.objects.in_bulk([task.quota_key for task in tasks])
    for task in tasks:
        cluster = clusters.get(task.quota_key)
        yield task, cluster.name if cluster else task.subject_id


def _policy(policy: BackupPolicy, health: str, message: str, at: datetime | None) -> Problem:
    title = f"{policy.cluster.name}: {policy.name}"
    return _of(policy, title, badge=health_badge(health), message=plain(message), at=at)


def _failing_policies(now: datetime) -> Iterable[Problem]:
    newest = PolicyRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    recent = BackupPolicy.objects.filter(last_run__gt=newest - NEWEST_RUNS)
    active = recent.of_real_organizations().filter(is_active=True)
    annotated: QuerySet[Any] = with_health(active).with_ended_run()
    failing = annotated.filter(health__in=FAILING)
    newest_first = failing.order_by("severity", "-last_run__planned_at")
    found = list(newest_first.select_related("organization", "cluster")[: MAX_ROWS + 1])
    runs = PolicyRun.objects.select_related("job__task", "job__backup")
    ended = runs.in_bulk([policy.ended_run_id for policy in found])
    for policy in found:
        run = ended[policy.ended_run_id]
        yield _policy(policy, policy.health, why_of(run), run.created_at)


def _late_policies(now: datetime) -> Iterable[Problem]:
    late = BackupPolicy.objects.due(now - OVERDUE_AFTER).order_by("next_run_at")
    for policy in late.select_related("organization", "cluster")[: MAX_ROWS + 1]:
        yield _policy(
            policy, PolicyHealth.LATE, "The planned run was not started.", policy.next_run_at
        )


def _damaged_backups(now: datetime) -> Iterable[Problem]:
    damaged = Backup.objects.of_real_organizations().damaged().order_by("-created_at")
    for backup in damaged.select_related("organization", "cluster")[: MAX_ROWS + 1]:
        yield _of(
            backup,
            f"{backup.cluster.name}: {backup.name}",
            badge=badge("DAMAGED"),
            message=backup.damage_text,
            at=backup.created_at,
        )


def _pending_retention(now: datetime) -> Iterable[Problem]:
    pending: QuerySet[Any] = PolicyRun.objects.retention_overdue()
    overdue = pending.filter(waits_since__lte=now - RETENTION_OVERDUE_AFTER)
    overdue = overdue.order_by("waits_since")
    for run in overdue.select_related("policy__organization", "policy__cluster")[: MAX_ROWS + 1]:
        yield _of(
            run.policy,
            f"{run.policy.cluster.name}: {run.policy.name}",
            message="Expired backups of this policy have not been deleted yet.",
            at=run.waits_since,
        )


def _failing_scans(now: datetime) -> Iterable[Problem]:
    scans = InventoryScan.objects.of_real_organizations().filter(failures__gte=MIN_SCAN_FAILURES)
    running = scans.filter(cluster__status=ServiceStatus.RUNNING).order_by("-failures")
    for scan in running.select_related("cluster__organization")[: MAX_ROWS + 1]:
        yield _of(
            scan.cluster, scan.cluster.name, message=plain(scan.error_message), at=scan.scanned_at
        )


def _unshipped_versions(now: datetime) -> Iterable[Problem]:
    alive = Cluster.objects.of_real_organizations().alive()
    unshipped = alive.filter(is_unshipped(alive)).select_related("organization")
    for cluster in unshipped.order_by("version", "name")[: MAX_ROWS + 1]:
        yield _of(
            cluster,
            cluster.name,
            message=f"Version {cluster.version} is not offered any more.",
            at=cluster.created_at,
        )


def _expiring_keys(now: datetime) -> Iterable[Problem]:
    keys = ApiKey.objects.of_real_organizations().filter(revoked=False)
    expiring = keys.filter(expiry_date__range=(now, now + EXPIRES_SOON)).order_by("expiry_date")
    for key in expiring.select_related("organization")[: MAX_ROWS + 1]:
        used = "It has been used." if key.last_used_at else "It has never been used."
        yield _of(key, f"{key.name} ({key.prefix})", message=used, at=key.expiry_date)


def _locked_sign_ins(now: datetime) -> Iterable[Problem]:
    locked = AccessAttempt.objects.filter(
        attempt_time__gte=now - settings.AXES_COOLOFF_TIME,
        failures_since_start__gte=settings.AXES_FAILURE_LIMIT,
    )
    for attempt in locked.order_by("-attempt_time")[: MAX_ROWS + 1]:
        yield Problem(
            title=attempt.username or "",
            address=address_of(attempt),
            message=f"Locked for network address {attempt.ip_address}.",
            at=attempt.attempt_time,
        )


def _list(page: str, **filters: str) -> str:
    address = reverse(f"admin:{page}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def _story(cluster_id: str) -> str:
    return reverse("admin-cluster-story", args=[cluster_id])


KINDS: tuple[tuple[str, str, Callable[[], str], Callable[[datetime], Iterable[Problem]]], ...] = (
    (
        "Console",
        "Read the logs of these parts, and restart them if they do not recover.",
        lambda: _list("tasks_heartbeat"),
        _components,
    ),
    (
        "Clusters in error",
        "Read the story of the cluster, then restart it or retry its failed task.",
        lambda: _list("clusters_cluster", status__in=",".join(BROKEN)),
        _clusters,
    ),
    (
        "Tasks without a worker",
        "Check that workers run, and start more of them if the queue grows.",
        lambda: _list("tasks_task", state__in=f"{TaskState.PENDING},{TaskState.RUNNING}"),
        _waiting_tasks,
    ),
    (
        "Failed tasks without a retry",
        "Read the reason, remove the cause and retry the task.",
        lambda: _list("tasks_task", state__exact=TaskState.FAILED),
        _failed_tasks,
    ),
    (
        "Failing policies",
        "Their last runs have left no complete, sound backup. Remove the cause; the next run "
        "follows the schedule.",
        lambda: _list("policies_backuppolicy", health=PolicyHealth.FAILING),
        _failing_policies,
    ),
    (
        "Late policies",
        "Check the scheduler and the sweeper.",
        lambda: _list("policies_backuppolicy", health=PolicyHealth.LATE),
        _late_policies,
    ),
    (
        "Damaged backups",
        "Verify the backup again. If the damage persists, tell the organization to take a new one.",
        lambda: _list("backups_backup", damaged="yes"),
        _damaged_backups,
    ),
    (
        "Pending retention",
        "Check the sweeper and the backup store.",
        lambda: _list("policies_policyrun"),
        _pending_retention,
    ),
    (
        "Clusters that cannot be scanned",
        "Their collections and coverage are not up to date. Read the reason in the message.",
        lambda: _list("protection_inventoryscan", o="-5"),
        _failing_scans,
    ),
    (
        "Clusters on versions that are not offered any more",
        "Ask the organization to upgrade.",
        lambda: _list("clusters_cluster", o="4"),
        _unshipped_versions,
    ),
    (
        "API keys that expire within 14 days",
        "Ask the organization to issue a new key.",
        lambda: _list("organizations_apikey", revoked__exact="0", o="5"),
        _expiring_keys,
    ),
    (
        "Locked sign-ins",
        "Unlock the sign-in if the person is known to you.",
        lambda: _list("axes_accessattempt"),
        _locked_sign_ins,
    ),
)
"""Title, remedy, address of all rows and finder of each kind, most severe first."""
