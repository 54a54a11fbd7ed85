"""Effects of a finished task on the cluster's row, in the transaction that ends the task."""

from __future__ import annotations

from django.utils import timezone

from clusters.admission import refresh_status
from clusters.models import Cluster
from clusters.resources import resources_of
from clusters.states import RUNS_AFTER, Condition, TaskKind
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState


def settle(task: Task) -> None:
    cluster = Cluster.objects.get(pk=task.subject_id)
    message = _SETTLE[TaskState(task.state)](cluster, task)
    refresh_status(cluster, message)


def failure_message(task: Task) -> str:
    """Status message of a cluster whose task has failed."""
    return f"{task.kind} failed ({task.task_id}): {task.message}"


def _success(cluster: Cluster, task: Task) -> str:
    kind = TaskKind(task.kind)
    cluster.change_failed = False
    cluster.wanted_running = RUNS_AFTER.get(kind, cluster.wanted_running)
    target = resources_of(cluster).changed(task.arguments.get("changes", {}))
    for field, value in target.as_dict().items():
        setattr(cluster, field, value)
    if kind is TaskKind.STOP:
        cluster.condition, cluster.effective_cores = Condition.STOPPED, None
        cluster.confinement = ""
    if kind is TaskKind.DELETION:
        cluster.condition = Condition.GONE
        cluster.deleted_at = timezone.now()
        cluster.sealed_token = ""
    return ""


def _failure(cluster: Cluster, task: Task) -> str:
    cluster.change_failed = True
    return failure_message(task)


def _cancellation(cluster: Cluster, task: Task) -> str | None:
    """Keep the status message, because the job restored the previous state. A cancelled deployment
    leaves nothing.
    """
    if task.kind != TaskKind.DEPLOYMENT:
        return None
    cluster.condition = Condition.ABSENT
    cluster.port, cluster.effective_cores, cluster.confinement = None, None, ""
    return f"DEPLOYMENT was cancelled ({task.task_id}). Retry it or delete the cluster."


_SETTLE = {
    TaskState.SUCCEEDED: _success,
    TaskState.FAILED: _failure,
    TaskState.CANCELLED: _cancellation,
}
