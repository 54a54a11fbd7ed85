"""Effects of a finished task on the cluster's row, in the transaction that ends the task."""

from __future__ import annotations

from django.utils import timezone

from clusters.admission import refresh_status, unfinished_of_other_apps
from clusters.driver import is_operated_elsewhere
from clusters.models import Cluster, KeptCopy
from clusters.protection import before_delete, filled_by
from clusters.resources import resources_of
from clusters.states import RUNS_AFTER, Condition, TaskKind
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import CancelEffect
from vbase_console.tasks.services import can_be_cancelled, request_cancel
from vbase_console.tasks.states import TaskState

CONSOLE = "console"
CANCELLED: dict[str, tuple[str, str]] = {
    TaskKind.DEPLOYMENT: (
        "the incomplete cluster",
        "the cluster's entry: deploy it with a retry, or delete it",
    ),
    TaskKind.SCALING: ("the requested resources", "the present resources and all data"),
    TaskKind.VERSION_UPGRADE: ("the requested version", "the present version and all data"),
    TaskKind.RESTART: ("the requested restart", "the state before it, and all data"),
    TaskKind.STOP: ("the requested stop: the cluster runs", "endpoint, token and all data"),
    TaskKind.START: ("the requested start: the cluster stays stopped", "token and all data"),
}
"""Kind of a task → what its cancellation loses, and what it keeps."""
GO_BACK_CANCELLED = (
    "the requested return to the version before the upgrade",
    "the present version and its data, and the data from before the upgrade",
)
ATTACHING_CANCELLED = (
    "the cluster's entry, with the address and the token that were given",
    "the server, with all data",
)
FILLING_CANCELLED = (
    "the new cluster, which is removed, and the restore that should fill it, which fails",
    "the backup",
)
FILLING_PROTECTED_CANCELLED = (
    "the incomplete cluster, and the restore that should fill it, which fails",
    "the backup, and the cluster's entry, because it is protected from deletion: deploy it with a "
    "retry after the restore has failed",
)


def settle(task: Task) -> None:
    cluster = Cluster.objects.get(pk=task.subject_id)
    message = _SETTLE[TaskState(task.state)](cluster, task)
    refresh_status(cluster, message)


def failure_message(task: Task) -> str:
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
        _mark_gone(cluster)
    return ""


def _failure(cluster: Cluster, task: Task) -> str:
    cluster.change_failed = True
    if task.kind == TaskKind.DEPLOYMENT and is_operated_elsewhere(cluster):
        _forget(cluster)
    return failure_message(task)


def _mark_gone(cluster: Cluster) -> None:
    cluster.condition = Condition.GONE
    cluster.deleted_at = timezone.now()
    KeptCopy.objects.filter(cluster=cluster).delete()
    cluster.sealed_token, cluster.ca_certificate, cluster.server_mark = "", "", ""


def _forget(cluster: Cluster) -> None:
    """Delete a cluster whose first check failed. What was requested meanwhile ends with it."""
    before_delete(cluster, by=CONSOLE, delete_backups=False)
    for task in unfinished_of_other_apps(cluster):
        if can_be_cancelled(task):
            request_cancel(task, by=CONSOLE, clean_up=False)
    _mark_gone(cluster)


def _cancellation(cluster: Cluster, task: Task) -> str | None:
    """Keep the status message, because the job restored the previous state. A cancelled deployment
    leaves nothing.
    """
    if task.kind != TaskKind.DEPLOYMENT:
        return None
    if is_operated_elsewhere(cluster):
        _forget(cluster)
        return f"DEPLOYMENT was cancelled ({task.task_id}). Attach the server again."
    cluster.condition = Condition.ABSENT
    cluster.port, cluster.effective_cores, cluster.confinement = None, None, ""
    restore = filled_by(cluster)
    effect = (
        f"{restore.task_id} ({restore.kind}) ends next."
        if restore
        else "Retry it or delete the cluster."
    )
    return f"DEPLOYMENT was cancelled ({task.task_id}). {effect}"


_SETTLE = {
    TaskState.SUCCEEDED: _success,
    TaskState.FAILED: _failure,
    TaskState.CANCELLED: _cancellation,
}


def cancel_effect(task: Task) -> CancelEffect:
    """Describe what the cancellation of a task of a cluster would lose and keep."""
    cluster = Cluster.objects.get(pk=task.subject_id)
    if task.arguments.get("go_back"):
        lost, kept = GO_BACK_CANCELLED
    elif task.kind == TaskKind.DEPLOYMENT and is_operated_elsewhere(cluster):
        lost, kept = ATTACHING_CANCELLED
    elif task.kind == TaskKind.DEPLOYMENT and filled_by(cluster):
        protected = cluster.deletion_protection
        lost, kept = FILLING_PROTECTED_CANCELLED if protected else FILLING_CANCELLED
    else:
        lost, kept = CANCELLED.get(task.kind, ("the requested change", "all data"))
    return CancelEffect(lost=(lost,), kept=(kept,))
