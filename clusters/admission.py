"""Admission of requests on a cluster, and the state that its accepted tasks lead to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from clusters.driver import capabilities_of, is_operated_elsewhere
from clusters.models import Cluster
from clusters.resources import Resources, resources_of
from clusters.states import (
    RUNS_AFTER,
    Admission,
    Condition,
    ServiceStatus,
    TaskKind,
    admission,
    status_of,
)
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.tasks import services as tasks
from vbase_console.tasks.models import Task

RETRY_AFTER_SECONDS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpectedState:
    """State of a cluster after all its accepted tasks have succeeded."""

    resources: Resources
    runs: bool
    last_task: Task | None

    @property
    def cause(self) -> str:
        """Suffix for a refusal that names the task which leads to this state."""
        return f" after {self.last_task.task_id}" if self.last_task else ""


def unfinished(cluster: Cluster) -> list[Task]:
    """The cluster's own tasks that are running or waiting, in queue order."""
    changes = Task.objects.about(cluster.cluster_id).filter(kind__in=TaskKind.values)
    return list(changes.active().in_queue_order())


def unfinished_of_other_apps(cluster: Cluster) -> list[Task]:
    """Tasks of other apps, such as backups, that use or wait for the cluster's lock."""
    return list(Task.objects.filter(lock=cluster.lock).active().exclude(kind__in=TaskKind.values))


def _not_cancelled(waiting: Sequence[Task]) -> list[Task]:
    return [task for task in waiting if task.cancel_requested_at is None]


def expected_state(cluster: Cluster, waiting: Sequence[Task]) -> ExpectedState:
    resources, runs, last = resources_of(cluster), cluster.wanted_running, None
    for task in _not_cancelled(waiting):
        resources = resources.changed(task.arguments.get("changes", {}))
        runs = RUNS_AFTER.get(TaskKind(task.kind), runs)
        last = task
    return ExpectedState(resources=resources, runs=runs, last_task=last)


def admit(cluster: Cluster, requested: TaskKind, waiting: Sequence[Task]) -> list[Task]:
    """Return the unfinished tasks that `requested` overtakes. Raises Aborted if one of them blocks
    the request.
    """
    refuse_deleted(cluster)
    overtaken = []
    for task in waiting:
        answer = admission(requested, TaskKind(task.kind))
        if answer is Admission.ABORT:
            raise _blocked_by(task, requested)
        if answer is Admission.OVERTAKE:
            overtaken.append(task)
    return overtaken


def refuse_ending(cluster: Cluster, requested: str, waiting: Sequence[Task]) -> None:
    """Raise an error if the cluster is deleted or being deleted. For requests of other apps."""
    refuse_deleted(cluster)
    for task in waiting:
        if task.kind == TaskKind.DELETION:
            raise _blocked_by(task, requested)


def refuse_unmeasured(cluster: Cluster) -> None:
    """Raise FailedPrecondition if the console does not measure the server of the cluster."""
    if not capabilities_of(cluster).measures_usage:
        raise FailedPrecondition(
            f"{cluster.service_id} has no metrics: its server is operated elsewhere, and Milvus "
            "does not tell clients its CPU, memory, disk and requests. The rows of each collection "
            "are in the list of its collections."
        )


def require_running(cluster: Cluster, requested: str) -> None:
    """Raise an error unless the cluster runs, or will run after its accepted tasks."""
    waiting = unfinished(cluster)
    refuse_ending(cluster, requested, waiting)
    refuse_undeployed(cluster, waiting)
    expected = expected_state(cluster, waiting)
    # Every task of a broken cluster that should run also starts it.
    is_repaired = expected.last_task is not None
    is_up = cluster.condition in (Condition.RUNNING, Condition.UNSEEN)
    if not (expected.runs and (is_up or is_repaired)):
        remedy = "Start it first."
        if is_operated_elsewhere(cluster):
            remedy = cluster.status_message
        raise FailedPrecondition(
            f"{cluster.service_id} is {cluster.status}{expected.cause}. It must be RUNNING. "
            f"{remedy}".strip()
        )


def _blocked_by(task: Task, requested: str) -> Aborted:
    return Aborted(
        f"{task.task_id} ({task.kind}) blocks {requested}. Wait until it has finished.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def refuse_deleted(cluster: Cluster) -> None:
    if cluster.status == ServiceStatus.DELETED:
        raise FailedPrecondition(f"{cluster.cluster_id} is DELETED. It cannot be changed.")


def refuse_attached(cluster: Cluster, change: str) -> None:
    """Raise FailedPrecondition if only the operator of the server can make the change."""
    refuse_deleted(cluster)
    if is_operated_elsewhere(cluster):
        raise FailedPrecondition(
            f"{cluster.cluster_id} is attached: it is operated elsewhere and cannot be {change} "
            "here. Ask its operator."
        )


def refuse_undeployed(cluster: Cluster, waiting: Sequence[Task]) -> None:
    """Raise FailedPrecondition if the cluster is not deployed and not being deployed."""
    deploying = any(task.kind == TaskKind.DEPLOYMENT for task in _not_cancelled(waiting))
    if cluster.condition == Condition.ABSENT and not deploying:
        raise FailedPrecondition(
            f"{cluster.cluster_id} was never deployed. Retry its DEPLOYMENT task or delete it."
        )


def refuse_unreadable(cluster: Cluster, expected: ExpectedState) -> None:
    """Raise FailedPrecondition if the cluster will not run, so that no backup can read its rows."""
    if not expected.runs and capabilities_of(cluster).stores_rows:
        raise FailedPrecondition(
            f"{cluster.cluster_id} is STOPPED{expected.cause}, and a backup needs a running "
            "cluster. Start it first, or turn backupFirst off."
        )


def refresh_status(cluster: Cluster, message: str | None = None) -> None:
    """Store the derived status. Must be called when a task of the cluster is enqueued or ends."""
    kinds = [task.kind for task in unfinished(cluster)]
    cluster.status = status_of(cluster.condition, kinds, change_failed=cluster.change_failed)
    if message is not None:
        cluster.status_message = message
    cluster.save()


def enqueue_task(
    cluster: Cluster,
    kind: TaskKind,
    *,
    by: str,
    arguments: dict[str, Any] | None = None,
    priority: int = 0,
    limited: bool = True,
    retry_of: str = "",
    reason: str = "",
) -> Task:
    """Enqueue a task and update the status. The caller must have locked the cluster's row."""
    task = tasks.enqueue(
        organization_id=cluster.organization_id,
        kind=kind,
        subject_id=cluster.cluster_id,
        lock=cluster.lock,
        quota_key=cluster.cluster_id,
        limited=limited,
        priority=priority,
        arguments=(arguments or {}) | ({"reason": reason} if reason else {}),
        requested_by=by,
        retry_of=retry_of,
        reason=reason,
    )
    refresh_status(cluster)
    return task
