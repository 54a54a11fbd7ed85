"""What pages show of clusters and tasks, worked out from rows: values in, values out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

from clusters.admission import outlook
from clusters.forms import ResourcesForm
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.organizations.scopes import DELETE_CLUSTER, SCALE_CLUSTER
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TaskState
from vbase_console.web.templatetags.console import words

KINDS = TaskKind.values


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task, the cluster it is about, and what the person may do about it."""

    task: Task
    cluster: Cluster | None
    may_cancel: bool
    may_retry: bool

    @property
    def reason(self) -> str:
        return str(self.task.arguments.get("reason", ""))

    @property
    def changes(self) -> list[str]:
        """What it changes, in the words of the form; the number of replicas says that there are
        any.
        """
        changes = self.task.arguments.get("changes", {})
        said = [name for name in changes if name != "enable_replicas" or "replicas" not in changes]
        return [f"{_label(name)}: {_value(changes[name])}" for name in said]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterActions:
    """What can be asked of a cluster now, by this person; no control leads to a certain refusal."""

    scale: bool
    restart: bool
    stop: bool
    start: bool
    upgrade: bool
    edit: bool
    delete: bool


def _label(name: str) -> str:
    field = ResourcesForm.base_fields.get(name)
    return str(field.label) if field and field.label else words(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def task_rows(
    principal: Principal, tasks: Iterable[Task], clusters: Iterable[Cluster] | None = None
) -> list[TaskRow]:
    """The tasks with their clusters, which are fetched at once unless they are given."""
    listed = list(tasks)
    if clusters is None:
        subjects = {task.subject_id for task in listed}
        clusters = Cluster.objects.visible_to(principal).filter(pk__in=subjects)
    by_id = {cluster.cluster_id: cluster for cluster in clusters}
    return [task_row(principal, task, by_id.get(task.subject_id)) for task in listed]


def task_row(principal: Principal, task: Task, cluster: Cluster | None) -> TaskRow:
    allowed = principal.may(job_for(task.kind).scope)
    cancellable = task.state in (TaskState.PENDING, TaskState.RUNNING)
    ended_badly = task.state in (TaskState.FAILED, TaskState.CANCELLED)
    alive = cluster is not None and cluster.status != ServiceStatus.DELETED
    return TaskRow(
        task=task,
        cluster=cluster,
        may_cancel=allowed and cancellable and job_for(task.kind).cancellable,
        may_retry=allowed and ended_badly and alive,
    )


def actions_of(
    principal: Principal, cluster: Cluster, waiting: Sequence[Task], versions: Sequence[str]
) -> ClusterActions:
    ahead = outlook(cluster, waiting)
    ending = cluster.status in (ServiceStatus.DELETING, ServiceStatus.DELETED)
    deploying = any(task.kind == TaskKind.DEPLOYMENT for task in waiting)
    may_change = principal.may(SCALE_CLUSTER) and not ending
    made = may_change and (deploying or cluster.condition != Condition.ABSENT)
    answers = cluster.condition == Condition.RUNNING or ahead.last_task is not None
    return ClusterActions(
        scale=made,
        restart=made and ahead.runs,
        stop=made and ahead.runs,
        start=made and not (ahead.runs and answers),
        upgrade=made and bool(set(versions) - {ahead.resources.version}),
        edit=may_change,
        delete=principal.may(DELETE_CLUSTER) and not ending,
    )


def connectable(cluster: Cluster) -> bool:
    """Whether there is an endpoint to show: not before the first deployment, not after the end."""
    return cluster.port is not None and cluster.status != ServiceStatus.DELETED


def address_of(cluster: Cluster) -> str:
    host = f"[{cluster.host}]" if ":" in cluster.host else cluster.host
    return f"http://{host}:{cluster.port}"


def digest(*seen: object) -> str:
    """A mark for what a page shows; a poll sends it back, and what has not changed stays there."""
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:12]


def digest_of_cluster(cluster: Cluster) -> str:
    return digest(cluster.status, cluster.status_message, cluster.port, cluster.updated_at)


def digest_of_access(cluster: Cluster) -> str:
    return digest(cluster.host, cluster.port, cluster.status == ServiceStatus.DELETED)


def digest_of_tasks(tasks: Iterable[Task]) -> str:
    return digest([(task.task_id, task.state, task.phase) for task in tasks])
