"""What can be asked of clusters: one domain sentence each. HTML, API and admin all call these.

Each takes the cluster's row first, so that requests on one cluster are accepted one after another;
each leaves a task and answers at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from clusters.admission import (
    RETRY_AFTER_SECONDS,
    admit,
    enqueue_task,
    others_on,
    outlook,
    refuse_deleted,
    refuse_undeployed,
    unfinished,
)
from clusters.driver import default_driver, driver_of, spec_of
from clusters.drivers.base import DriverError
from clusters.models import Cluster
from clusters.protection import before_delete
from clusters.resources import Resources, check_resources
from clusters.states import Condition, ServiceStatus, TaskKind
from clusters.validation import check_labels, check_name
from vbase_console.core.errors import Aborted, AlreadyExists, FailedPrecondition, Unavailable
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as tasks
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import LEASED

DELETION_PRIORITY = 100


@transaction.atomic
def create_cluster(
    principal: Principal,
    *,
    name: str,
    resources: Mapping[str, Any] | None = None,
    labels: Mapping[str, object] | None = None,
    deletion_protection: bool = False,
) -> tuple[Cluster, Task]:
    """Ask for a new cluster; the returned DEPLOYMENT task reports how it comes up."""
    capabilities = default_driver().capabilities
    wanted = Resources(version=capabilities.versions[0]).changed(resources or {})
    check_resources(wanted, capabilities)
    cluster = Cluster(
        organization_id=principal.organization_id,
        name=check_name(name),
        labels=check_labels(labels or {}),
        deletion_protection=deletion_protection,
        status=ServiceStatus.CREATING,
        **wanted.as_dict(),
    )
    cluster.token = secrets.token_urlsafe(32)
    _save_named(cluster)
    return cluster, enqueue_task(cluster, TaskKind.DEPLOYMENT, by=principal.label)


@transaction.atomic
def update_cluster(
    cluster: Cluster,
    *,
    name: str | None = None,
    labels: Mapping[str, object] | None = None,
    deletion_protection: bool | None = None,
) -> Cluster:
    """Change what is only the console's knowledge; nothing is asked of the running Milvus."""
    cluster = Cluster.objects.locked(cluster.pk)
    admit(cluster, TaskKind.SCALING, unfinished(cluster))
    given: dict[str, object] = {
        "name": None if name is None else check_name(name),
        "labels": None if labels is None else check_labels(labels),
        "deletion_protection": deletion_protection,
    }
    changed = {
        field: value
        for field, value in given.items()
        if value is not None and value != getattr(cluster, field)
    }
    for field, value in changed.items():
        setattr(cluster, field, value)
    if changed:
        _save_named(cluster)
    return cluster


@transaction.atomic
def scale_cluster(
    cluster: Cluster,
    *,
    changes: Mapping[str, Any],
    by: str,
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
    retry_of: str = "",
) -> Task:
    """Ask for other resources; another version makes it a VERSION_UPGRADE, anything else a
    SCALING. `facts` are kept with the task for whoever asked.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    given = {field: value for field, value in changes.items() if value is not None}
    before = outlook(cluster, waiting)
    after = before.resources.changed(given)
    kind = TaskKind.SCALING
    if after.version != before.resources.version:
        kind = TaskKind.VERSION_UPGRADE
    admit(cluster, kind, waiting)
    refuse_undeployed(cluster, waiting)
    check_resources(after, driver_of(cluster).capabilities)
    if after == before.resources:
        raise FailedPrecondition(
            f"{cluster.cluster_id} has these resources, or will have them{before.because}."
        )
    arguments = {"changes": given, **(facts or {})}
    return enqueue_task(cluster, kind, by=by, arguments=arguments, reason=reason, retry_of=retry_of)


@transaction.atomic
def restart_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    """Ask for a new process; a cluster that is stopped by then is started."""
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.RESTART, waiting)
    refuse_undeployed(cluster, waiting)
    return enqueue_task(cluster, TaskKind.RESTART, by=by, retry_of=retry_of)


@transaction.atomic
def stop_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    """Ask for the process to end; data, endpoint and token stay for the next start."""
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.STOP, waiting)
    refuse_undeployed(cluster, waiting)
    ahead = outlook(cluster, waiting)
    if not ahead.runs:
        raise FailedPrecondition(f"{cluster.cluster_id} is stopped, or will be{ahead.because}.")
    return enqueue_task(cluster, TaskKind.STOP, by=by, retry_of=retry_of)


@transaction.atomic
def start_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.START, waiting)
    refuse_undeployed(cluster, waiting)
    ahead = outlook(cluster, waiting)
    answers = cluster.condition == Condition.RUNNING or ahead.last_task is not None
    if ahead.runs and answers:
        raise FailedPrecondition(f"{cluster.cluster_id} runs, or will run{ahead.because}.")
    return enqueue_task(cluster, TaskKind.START, by=by, retry_of=retry_of)


@transaction.atomic
def delete_cluster(
    cluster: Cluster, *, by: str, delete_backups: bool = False, retry_of: str = ""
) -> tuple[Task, str]:
    """Ask for the end of a cluster: what runs on it is asked to stop, and the deletion goes next.

    Answers the task and, in words, what becomes of the backups.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    overtaken = admit(cluster, TaskKind.DELETION, unfinished(cluster))
    if cluster.deletion_protection:
        raise FailedPrecondition(
            f"{cluster.cluster_id} is protected; switch deletionProtection off first."
        )
    said = before_delete(cluster, by=by, delete_backups=delete_backups)
    for task in [*overtaken, *others_on(cluster)]:
        if tasks.can_be_cancelled(task):
            tasks.request_cancel(task, by=by, clean_up=False)
    cluster.refresh_from_db()
    task = enqueue_task(
        cluster,
        TaskKind.DELETION,
        by=by,
        arguments={"delete_backups": delete_backups},
        priority=DELETION_PRIORITY,
        limited=False,
        retry_of=retry_of,
    )
    return task, said


@transaction.atomic
def rotate_token(cluster: Cluster) -> Cluster:
    """A new token, valid at once and alone. The running cluster takes it first: if that fails,
    nothing has changed. A job that has read the old token must have ended before, and none may
    begin until the new one is stored: that is why the row is held over the call.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.SCALING, waiting)
    for task in waiting:
        if task.state in LEASED:
            raise Aborted(
                f"{task.task_id} ({task.kind}) is at work with the token; rotate it afterwards.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
    refuse_undeployed(cluster, [])
    cluster.token = secrets.token_urlsafe(32)
    try:
        driver_of(cluster).rotate(spec_of(cluster), _always)
    except DriverError as error:
        raise Unavailable(
            f"The token was not rotated: {error}. Should the old one open nothing any more, rotate "
            "it again: the cluster may have taken the new one without saying so."
        ) from error
    cluster.save(update_fields=["sealed_token", "updated_at"])
    return cluster


def require_access(cluster: Cluster) -> None:
    """Raise `FailedPrecondition` while there is nothing yet, or nothing any more, to connect to."""
    refuse_deleted(cluster)
    if not cluster.port:
        raise FailedPrecondition(
            f"{cluster.service_id} has no endpoint yet; wait until its status is RUNNING."
        )


def cancel_task(task: Task, *, by: str) -> Task:
    return tasks.request_cancel(task, by=by)


@transaction.atomic
def retry_task(cluster: Cluster, task: Task, *, by: str) -> Task:
    """Ask again for what a failed or cancelled task should have done; the same rules hold as for
    a new request.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    task.refresh_from_db()
    tasks.check_retryable(task)
    again = task.task_id
    kind = TaskKind(task.kind)
    if kind in (TaskKind.SCALING, TaskKind.VERSION_UPGRADE):
        return scale_cluster(cluster, changes=task.arguments["changes"], by=by, retry_of=again)
    if kind is TaskKind.DELETION:
        too = bool(task.arguments.get("delete_backups"))
        return delete_cluster(cluster, by=by, delete_backups=too, retry_of=again)[0]
    if kind is TaskKind.DEPLOYMENT:
        return _deploy_again(cluster, by=by, retry_of=again)
    requests = {
        TaskKind.RESTART: restart_cluster,
        TaskKind.STOP: stop_cluster,
        TaskKind.START: start_cluster,
    }
    return requests[kind](cluster, by=by, retry_of=again)


def _deploy_again(cluster: Cluster, *, by: str, retry_of: str) -> Task:
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.START, waiting)
    if cluster.condition != Condition.ABSENT or waiting:
        raise FailedPrecondition(f"{cluster.cluster_id} is deployed, or is being deployed.")
    return enqueue_task(cluster, TaskKind.DEPLOYMENT, by=by, retry_of=retry_of)


def _save_named(cluster: Cluster) -> None:
    try:
        with transaction.atomic():
            cluster.save()
    except IntegrityError as error:
        raise AlreadyExists(
            f"A cluster named '{cluster.name}' exists in this organization; choose another name."
        ) from error


def _always() -> None:
    """The guard of whoever holds the cluster's row."""
