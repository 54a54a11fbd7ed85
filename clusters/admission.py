"""Whether a request is taken now, and what will hold after everything that was taken before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

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
    """A cluster as it will be when all its accepted tasks have succeeded."""

    resources: Resources
    runs: bool
    last_task: Task | None

    @property
    def because(self) -> str:
        """Which task makes it so, for a refusal that names what is in the way."""
        return f" ({self.last_task.task_id} sees to that)" if self.last_task else ""


def unfinished(cluster: Cluster) -> list[Task]:
    """The changes of the cluster that are under way or wait, in turn order."""
    changes = Task.objects.about(cluster.cluster_id).filter(kind__in=TaskKind.values)
    return list(changes.active().in_queue_order())


def others_on(cluster: Cluster) -> list[Task]:
    """What other apps do, or are going to do, under the cluster's lock."""
    return list(Task.objects.filter(lock=cluster.lock).active().exclude(kind__in=TaskKind.values))


def is_being_stopped(task: Task) -> bool:
    return task.cancel_requested_at is not None


def _live(waiting: Sequence[Task]) -> list[Task]:
    return [task for task in waiting if not is_being_stopped(task)]


def outlook(cluster: Cluster, waiting: Sequence[Task]) -> ExpectedState:
    resources, runs, last = resources_of(cluster), cluster.wanted_running, None
    for task in _live(waiting):
        resources = resources.changed(task.arguments.get("changes", {}))
        runs = RUNS_AFTER.get(TaskKind(task.kind), runs)
        last = task
    return ExpectedState(resources=resources, runs=runs, last_task=last)


def admit(cluster: Cluster, requested: TaskKind, waiting: Sequence[Task]) -> list[Task]:
    """The unfinished tasks that `requested` overtakes; raises where it is not taken now."""
    refuse_deleted(cluster)
    answers = [(task, admission(requested, TaskKind(task.kind))) for task in waiting]
    for task, answer in answers:
        if answer is Admission.ABORT:
            raise _in_the_way(task, requested)
    return [task for task, answer in answers if answer is Admission.OVERTAKE]


def refuse_ending(cluster: Cluster, requested: str, waiting: Sequence[Task]) -> None:
    """For what other apps do with a cluster: nothing begins on one that is on its way out."""
    refuse_deleted(cluster)
    for task in waiting:
        if task.kind == TaskKind.DELETION:
            raise _in_the_way(task, requested)


def require_running(cluster: Cluster, requested: str) -> None:
    """For what needs a cluster that runs, or will when everything accepted before has ended."""
    waiting = unfinished(cluster)
    refuse_ending(cluster, requested, waiting)
    refuse_undeployed(cluster, waiting)
    ahead = outlook(cluster, waiting)
    # Whatever is changed on a cluster that should run brings it up, if it is broken.
    comes_up = ahead.last_task is not None
    answers = cluster.condition in (Condition.RUNNING, Condition.UNSEEN)
    if not (ahead.runs and (answers or comes_up)):
        raise FailedPrecondition(
            f"{cluster.service_id} is {cluster.status}{ahead.because}; it must be RUNNING. "
            "Start it first."
        )


def _in_the_way(task: Task, requested: str) -> Aborted:
    return Aborted(
        f"{task.task_id} ({task.kind}) is in the way of {requested}; wait for its end.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def refuse_deleted(cluster: Cluster) -> None:
    if cluster.status == ServiceStatus.DELETED:
        raise FailedPrecondition(f"{cluster.cluster_id} is DELETED; it can be read, not changed.")


def refuse_undeployed(cluster: Cluster, waiting: Sequence[Task]) -> None:
    """A cluster that was never made, and is not being made, can only be tried again or deleted."""
    deploying = any(task.kind == TaskKind.DEPLOYMENT for task in _live(waiting))
    if cluster.condition == Condition.ABSENT and not deploying:
        raise FailedPrecondition(
            f"{cluster.cluster_id} was never deployed; retry its DEPLOYMENT task or delete it."
        )


def refresh_status(cluster: Cluster, message: str | None = None) -> None:
    """Store what `status_of` derives; called wherever a task of the cluster begins to wait or
    ends.
    """
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
    """Leave a task for a cluster whose row the caller holds, and show at once what is under way."""
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
