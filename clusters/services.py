"""Operations on clusters, for API, pages and admin.

Each service locks the cluster's row first, so that requests on one cluster are accepted one after
another. It enqueues a task and returns at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from clusters.admission import (
    RETRY_AFTER_SECONDS,
    admit,
    enqueue_task,
    expected_state,
    refuse_attached,
    refuse_deleted,
    refuse_undeployed,
    refuse_unreadable,
    unfinished,
    unfinished_of_other_apps,
)
from clusters.driver import (
    capabilities_of,
    default_driver,
    driver_of,
    is_operated_elsewhere,
    spec_of,
)
from clusters.drivers.base import DriverError
from clusters.models import Cluster, KeptCopy
from clusters.protection import before_delete, filled_by
from clusters.resources import Resources, check_resources
from clusters.states import Condition, ServiceStatus, TaskKind
from clusters.validation import check_labels, check_name
from vbase_console.core.errors import Aborted, AlreadyExists, FailedPrecondition, Unavailable
from vbase_console.organizations.differences import note
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as tasks
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import LEASED

DELETION_PRIORITY = 100
MAX_LOG_LINES = 200


@transaction.atomic
def create_cluster(
    principal: Principal,
    *,
    name: str,
    resources: Mapping[str, Any] | None = None,
    labels: Mapping[str, object] | None = None,
    deletion_protection: bool = False,
) -> tuple[Cluster, Task]:
    """Create a cluster. The returned DEPLOYMENT task reports the progress."""
    cluster = plan_cluster(principal, name=name, resources=resources, labels=labels)
    cluster.deletion_protection = deletion_protection
    cluster.token = secrets.token_urlsafe(32)
    save_named(cluster)
    return cluster, enqueue_task(cluster, TaskKind.DEPLOYMENT, by=principal.label)


def plan_cluster(
    principal: Principal,
    *,
    name: str,
    resources: Mapping[str, Any] | None = None,
    labels: Mapping[str, object] | None = None,
) -> Cluster:
    """Check the request of a new cluster. Stores nothing."""
    capabilities = default_driver().capabilities
    values = Resources(version=capabilities.versions[0]).changed(resources or {})
    check_resources(values, capabilities)
    return Cluster(
        organization_id=principal.organization_id,
        name=check_name(name),
        labels=check_labels(labels or {}),
        status=ServiceStatus.CREATING,
        **values.as_dict(),
    )


@transaction.atomic
def update_cluster(
    cluster: Cluster,
    *,
    name: str | None = None,
    labels: Mapping[str, object] | None = None,
    deletion_protection: bool | None = None,
) -> Cluster:
    """Change name, labels or deletion protection. The running Milvus is not affected."""
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
    note({field: getattr(cluster, field) for field in changed}, changed)
    for field, value in changed.items():
        setattr(cluster, field, value)
    if changed:
        save_named(cluster)
    return cluster


@transaction.atomic
def scale_cluster(
    cluster: Cluster,
    *,
    changes: Mapping[str, Any],
    by: str,
    backup_first: bool = True,
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
    retry_of: str = "",
) -> Task:
    """Change the resources. A new version makes the task a VERSION_UPGRADE, otherwise a SCALING.

    An upgrade begins with a backup of every database, unless `backup_first` is False.
    `facts` are stored with the task, for the caller.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    requested = {field: value for field, value in changes.items() if value is not None}
    waiting = unfinished(cluster)
    kind = admit_change(cluster, waiting, requested, backup_first=backup_first)
    before = expected_state(cluster, waiting).resources
    note({field: getattr(before, field, None) for field in requested}, requested)
    arguments = {"changes": requested, **(facts or {})}
    if kind is TaskKind.VERSION_UPGRADE:
        arguments["backup_first"] = backup_first
    return enqueue_task(cluster, kind, by=by, arguments=arguments, reason=reason, retry_of=retry_of)


def admit_change(
    cluster: Cluster, waiting: Sequence[Task], changes: Mapping[str, Any], *, backup_first: bool
) -> TaskKind:
    """Return the kind of a change of the resources. Raises the error with which it is refused.

    `waiting` are the cluster's unfinished tasks.
    """
    refuse_attached(cluster, "scaled")
    before = expected_state(cluster, waiting)
    after = before.resources.changed(changes)
    is_upgrade = after.version != before.resources.version
    kind = TaskKind.VERSION_UPGRADE if is_upgrade else TaskKind.SCALING
    admit(cluster, kind, waiting)
    refuse_undeployed(cluster, waiting)
    check_resources(after, capabilities_of(cluster), present=before.resources.version)
    if after == before.resources:
        is_version = set(changes) == {"version"}
        wanted, them = ("this version", "it") if is_version else ("these resources", "them")
        raise FailedPrecondition(
            f"{cluster.cluster_id} has {wanted} already, or will have {them}{before.cause}."
        )
    if is_upgrade and backup_first:
        refuse_unreadable(cluster, before)
    return kind


@transaction.atomic
def go_back(cluster: Cluster, *, by: str, backup_first: bool = True, retry_of: str = "") -> Task:
    """Return to version and data from before the last upgrade. Rows written since are lost."""
    cluster = Cluster.objects.locked(cluster.pk)
    refuse_attached(cluster, "changed to another version")
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.VERSION_UPGRADE, waiting)
    kept = KeptCopy.objects.filter(cluster=cluster, removing=False).first()
    if kept is None:
        raise FailedPrecondition(
            f"{cluster.cluster_id} keeps no data of an earlier version. Restore a backup instead."
        )
    before = expected_state(cluster, waiting)
    if before.resources.version != cluster.version:
        raise FailedPrecondition(
            f"The version of {cluster.cluster_id} will be {before.resources.version}"
            f"{before.cause}. Wait until then."
        )
    if backup_first:
        refuse_unreadable(cluster, before)
    return enqueue_task(
        cluster,
        TaskKind.VERSION_UPGRADE,
        by=by,
        arguments={
            "changes": {"version": kept.version},
            "go_back": True,
            "backup_first": backup_first,
        },
        retry_of=retry_of,
    )


@transaction.atomic
def restart_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    """Restart the process. A cluster that is stopped when the task runs is started."""
    cluster = Cluster.objects.locked(cluster.pk)
    refuse_attached(cluster, "restarted")
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.RESTART, waiting)
    refuse_undeployed(cluster, waiting)
    return enqueue_task(cluster, TaskKind.RESTART, by=by, retry_of=retry_of)


@transaction.atomic
def stop_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    """Stop the process. Data, endpoint and token are kept for the next start."""
    cluster = Cluster.objects.locked(cluster.pk)
    refuse_attached(cluster, "stopped")
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.STOP, waiting)
    refuse_undeployed(cluster, waiting)
    expected = expected_state(cluster, waiting)
    if not expected.runs:
        stopped = f"will be stopped{expected.cause}" if expected.cause else "is already stopped"
        raise FailedPrecondition(f"{cluster.cluster_id} {stopped}.")
    return enqueue_task(cluster, TaskKind.STOP, by=by, retry_of=retry_of)


@transaction.atomic
def start_cluster(cluster: Cluster, *, by: str, retry_of: str = "") -> Task:
    cluster = Cluster.objects.locked(cluster.pk)
    refuse_attached(cluster, "started")
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.START, waiting)
    refuse_undeployed(cluster, waiting)
    expected = expected_state(cluster, waiting)
    is_up = cluster.condition == Condition.RUNNING or expected.last_task is not None
    if expected.runs and is_up:
        running = f"will be running{expected.cause}" if expected.cause else "is already running"
        raise FailedPrecondition(f"{cluster.cluster_id} {running}.")
    return enqueue_task(cluster, TaskKind.START, by=by, retry_of=retry_of)


@transaction.atomic
def delete_cluster(
    cluster: Cluster,
    *,
    by: str,
    delete_backups: bool = False,
    retry_of: str = "",
    reason: str = "",
) -> tuple[Task, str]:
    """Delete a cluster. Its other tasks are cancelled and the deletion is the next to run.

    The deletion of an attached cluster detaches it: its server is not changed.

    Returns the task and a message about the backups.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    overtaken = admit(cluster, TaskKind.DELETION, unfinished(cluster))
    if cluster.deletion_protection:
        raise FailedPrecondition(
            f"{cluster.cluster_id} is protected. Switch deletion protection off first."
        )
    message = before_delete(cluster, by=by, delete_backups=delete_backups)
    # Jobs clean up on a server that stays, before the deletion. Other data is removed by it.
    stays = is_operated_elsewhere(cluster)
    cancelled = [*overtaken, *unfinished_of_other_apps(cluster)]
    cluster.refresh_from_db()
    # Before the cancellations, so that the end of a cancelled job finds the deletion.
    deletion = enqueue_task(
        cluster,
        TaskKind.DELETION,
        by=by,
        arguments={"delete_backups": delete_backups},
        priority=0 if stays else DELETION_PRIORITY,
        limited=False,
        retry_of=retry_of,
        reason=reason,
    )
    for task in cancelled:
        if tasks.can_be_cancelled(task):
            tasks.request_cancel(task, by=by, clean_up=stays)
    return deletion, message


@transaction.atomic
def rotate_token(cluster: Cluster) -> Cluster:
    """Replace the token. Only the new token is valid afterwards.

    The cluster's row stays locked during the driver's call, so that no job starts with the old
    token. Raises Aborted while a job that has read the old token is running, and Unavailable if the
    cluster does not accept the new one.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    refuse_attached(cluster, "given another token")
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.SCALING, waiting)
    for task in waiting:
        if task.state in LEASED:
            raise Aborted(
                f"{task.task_id} ({task.kind}) uses the token. "
                "Rotate the token after this task has finished.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
    refuse_undeployed(cluster, [])
    cluster.token = secrets.token_urlsafe(32)
    try:
        driver_of(cluster).rotate(spec_of(cluster), _permit)
    except DriverError as error:
        raise Unavailable(
            f"The token was not rotated: {error}. If the cluster refuses the old token, rotate it "
            "again, because the cluster may have accepted the new one without confirming it."
        ) from error
    cluster.save(update_fields=["sealed_token", "updated_at"])
    return cluster


def require_access(cluster: Cluster) -> None:
    """Raise FailedPrecondition if the cluster has no endpoint."""
    if cluster.status == ServiceStatus.DELETED:
        raise FailedPrecondition(
            f"{cluster.service_id} is DELETED. It has no endpoint and no token."
        )
    if not cluster.port:
        raise FailedPrecondition(
            f"{cluster.service_id} has no endpoint yet. Wait until its status is RUNNING."
        )


def read_log(cluster: Cluster) -> str:
    """Return the last lines of a cluster's log, without its token. Raises FailedPrecondition if its
    driver has no log.

    The log is read from a disk, so call this outside of transactions.
    """
    refuse_deleted(cluster)
    try:
        text = driver_of(cluster).log_end(cluster.cluster_id, MAX_LOG_LINES)
    except DriverError as error:
        raise FailedPrecondition(str(error)) from error
    return text.replace(cluster.token, "[token]") if cluster.token else text


def cancel_task(task: Task, *, by: str) -> Task:
    return tasks.request_cancel(task, by=by)


@transaction.atomic
def retry_task(cluster: Cluster, task: Task, *, by: str) -> Task:
    """Repeat a failed or cancelled task as a new one, by the rules of a new request."""
    cluster = Cluster.objects.locked(cluster.pk)
    task.refresh_from_db()
    tasks.check_retryable(task)
    retry_of = task.task_id
    kind = TaskKind(task.kind)
    if kind in (TaskKind.SCALING, TaskKind.VERSION_UPGRADE):
        backup_first = bool(task.arguments.get("backup_first", True))
        if task.arguments.get("go_back"):
            return go_back(cluster, by=by, backup_first=backup_first, retry_of=retry_of)
        return scale_cluster(
            cluster,
            changes=task.arguments["changes"],
            by=by,
            backup_first=backup_first,
            retry_of=retry_of,
        )
    if kind is TaskKind.DELETION:
        delete_backups = bool(task.arguments.get("delete_backups"))
        return delete_cluster(cluster, by=by, delete_backups=delete_backups, retry_of=retry_of)[0]
    if kind is TaskKind.DEPLOYMENT:
        return _retry_deployment(cluster, by=by, retry_of=retry_of)
    requests = {
        TaskKind.RESTART: restart_cluster,
        TaskKind.STOP: stop_cluster,
        TaskKind.START: start_cluster,
    }
    return requests[kind](cluster, by=by, retry_of=retry_of)


def _retry_deployment(cluster: Cluster, *, by: str, retry_of: str) -> Task:
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.START, waiting)
    if cluster.condition != Condition.ABSENT or waiting:
        raise FailedPrecondition(f"{cluster.cluster_id} is already deployed or being deployed.")
    if restore := filled_by(cluster):
        effect = "The cluster is removed then. Restore the backup again."
        if cluster.deletion_protection:
            effect = "Retry the deployment after that."
        raise Aborted(
            f"{restore.task_id} ({restore.kind}) should fill {cluster.cluster_id} and ends next, "
            f"because the deployment did not succeed. {effect}",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    return enqueue_task(cluster, TaskKind.DEPLOYMENT, by=by, retry_of=retry_of)


def save_named(cluster: Cluster) -> None:
    """Save a cluster. Raises AlreadyExists if its organization has another one of this name, or one
    that is attached to the same server.
    """
    try:
        with transaction.atomic():
            cluster.save()
    except IntegrityError as error:
        raise _server_taken(cluster) or name_taken(cluster.name) from error


def _server_taken(cluster: Cluster) -> AlreadyExists | None:
    if not cluster.server_mark:
        return None
    of_server = Cluster.objects.alive().filter(server_mark=cluster.server_mark)
    other = of_server.exclude(pk=cluster.pk).first()
    if other is None:
        return None
    remedy = f"Use '{other.name}', or detach it first."
    if other.status == ServiceStatus.DELETING:
        remedy = f"'{other.name}' is being detached. Try again after that."
    return AlreadyExists(
        f"The server is attached as '{other.name}' already, with the same token. {remedy}"
    )


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"A cluster named '{name}' exists in this organization. Choose another name."
    )


def _permit() -> None:
    """Guard of a caller that has locked the cluster's row: permits every effect."""
