"""Values that pages show of clusters and tasks, computed from rows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

from clusters.admission import expected_state
from clusters.forms import ResourcesForm
from clusters.models import Cluster, KeptCopy
from clusters.states import Condition, ServiceStatus, TaskKind
from clusters.upgrade_plans import reachable_versions
from vbase_console.organizations.scopes import DELETE_CLUSTER, SCALE_CLUSTER
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TaskState
from vbase_console.web.templatetags.console import words

KINDS = TaskKind.values


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskRow:
    task: Task
    cluster: Cluster | None
    may_cancel: bool
    may_retry: bool

    @property
    def reason(self) -> str:
        return str(self.task.arguments.get("reason", ""))

    @property
    def changes(self) -> list[str]:
        """Requested changes, labelled as in the form. `enable_replicas` follows from `replicas`."""
        changes = dict(self.task.arguments.get("changes", {}))
        if "replicas" in changes:
            changes.pop("enable_replicas", None)
        lines = []
        for name, value in changes.items():
            field = ResourcesForm.base_fields.get(name)
            label = str(field.label) if field and field.label else words(name)
            text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
            lines.append(f"{label}: {text}")
        return lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterActions:
    scale: bool
    restart: bool
    stop: bool
    start: bool
    upgrade: bool
    go_back: bool
    edit: bool
    connection: bool
    delete: bool


def task_rows(
    principal: Principal, tasks: Iterable[Task], clusters: Iterable[Cluster] | None = None
) -> list[TaskRow]:
    """Combine tasks with their clusters, which are read in one query unless they are given."""
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
    principal: Principal, cluster: Cluster, waiting: Sequence[Task], kept: KeptCopy | None
) -> ClusterActions:
    expected = expected_state(cluster, waiting)
    ending = cluster.status in (ServiceStatus.DELETING, ServiceStatus.DELETED)
    deploying = any(task.kind == TaskKind.DEPLOYMENT for task in waiting)
    may_change = principal.may(SCALE_CLUSTER) and not ending
    is_deployed = may_change and (deploying or cluster.condition != Condition.ABSENT)
    is_operated = is_deployed and not cluster.is_attached
    is_up = cluster.condition == Condition.RUNNING or expected.last_task is not None
    return ClusterActions(
        scale=is_operated,
        restart=is_operated and expected.runs,
        stop=is_operated and expected.runs,
        start=is_operated and not (expected.runs and is_up),
        upgrade=is_operated and bool(reachable_versions(cluster, expected.resources.version)),
        go_back=is_operated and kept is not None and expected.resources.version == cluster.version,
        edit=may_change,
        connection=may_change and cluster.is_attached and not waiting,
        delete=principal.may(DELETE_CLUSTER) and not ending,
    )


def connectable(cluster: Cluster) -> bool:
    """True if the cluster has an endpoint and is not stopped or deleted."""
    hidden = (ServiceStatus.DELETED, ServiceStatus.STOPPED)
    return cluster.port is not None and cluster.status not in hidden


def address_of(cluster: Cluster) -> str:
    host = f"[{cluster.host}]" if ":" in cluster.host else cluster.host
    scheme = "https" if cluster.tls else "http"
    return f"{scheme}://{host}:{cluster.port}"


def digest(*seen: object) -> str:
    """Hash shown values. A poll sends it back, so that unchanged parts are not sent again."""
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:12]


def digest_of_access(cluster: Cluster) -> str:
    is_stopped = cluster.status == ServiceStatus.STOPPED
    return digest(cluster.host, cluster.port, cluster.tls, connectable(cluster), is_stopped)
