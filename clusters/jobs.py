"""One short function per task kind: drive the driver, report what it did, note what is seen
afterwards.

What the end of a task means for the cluster's row is decided in `_settled`, in the transaction that
ends the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.utils import timezone

from clusters.admission import refresh_status
from clusters.drivers.base import DriverError, Observation, Presence, Progress
from clusters.hands import get_driver, spec_of
from clusters.models import Cluster
from clusters.resources import Resources, check_resources, resources_of
from clusters.services import retry_task
from clusters.states import RUNS_AFTER, Condition, TaskKind
from vbase_console.errors import InvalidArgument
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job, register
from vbase_console.tasks.states import TaskState

CONDITION_OF: dict[Presence, Condition] = {
    Presence.RUNNING: Condition.RUNNING,
    Presence.STARTING: Condition.BROKEN,
    Presence.STOPPED: Condition.STOPPED,
    Presence.CRASHED: Condition.BROKEN,
    Presence.MISSING: Condition.BROKEN,
}


def register_all() -> None:
    for kind, run in RUNS.items():
        register(
            Job(
                kind=kind,
                run=run,
                settled=_settled,
                hold=_hold,
                cancellable=kind is not TaskKind.DELETION,
                retry=_retry,
            )
        )


def deploy(attempt: Attempt) -> None:
    """Make the cluster; a deployment that is cancelled leaves nothing behind."""
    driver, cluster = get_driver(), _cluster(attempt)
    try:
        _drive(attempt, driver.create(spec_of(cluster), attempt.guard))
    except JobCancelled:
        _finish(driver.delete(cluster.cluster_id, attempt.guard))
        raise
    _note_seen(attempt, cluster)


def scale(attempt: Attempt) -> None:
    """Bring a running cluster to its new resources; a stopped one takes them when it starts."""
    driver, cluster = get_driver(), _cluster(attempt)
    target = _target(attempt, cluster)
    if not cluster.wanted_running:
        return
    try:
        _drive(attempt, driver.scale(spec_of(cluster, target), attempt.guard))
    except JobCancelled:
        _finish(driver.scale(spec_of(cluster), attempt.guard))
        raise
    _note_seen(attempt, cluster)


def upgrade(attempt: Attempt) -> None:
    driver, cluster = get_driver(), _cluster(attempt)
    target = _target(attempt, cluster)
    _drive(attempt, driver.upgrade(spec_of(cluster, target), attempt.guard))
    _note_seen(attempt, cluster)


def restart(attempt: Attempt) -> None:
    driver, cluster = get_driver(), _cluster(attempt)
    _drive(attempt, driver.restart(spec_of(cluster), attempt.guard))
    _note_seen(attempt, cluster)


def start(attempt: Attempt) -> None:
    driver, cluster = get_driver(), _cluster(attempt)
    _drive(attempt, driver.start(spec_of(cluster), attempt.guard))
    _note_seen(attempt, cluster)


def stop(attempt: Attempt) -> None:
    driver, cluster = get_driver(), _cluster(attempt)
    _drive(attempt, driver.stop(cluster.cluster_id, attempt.guard))
    _note_seen(attempt, cluster)


def delete(attempt: Attempt) -> None:
    driver, cluster = get_driver(), _cluster(attempt)
    _drive(attempt, driver.delete(cluster.cluster_id, attempt.guard))


RUNS: dict[TaskKind, Callable[[Attempt], None]] = {
    TaskKind.DEPLOYMENT: deploy,
    TaskKind.SCALING: scale,
    TaskKind.VERSION_UPGRADE: upgrade,
    TaskKind.RESTART: restart,
    TaskKind.START: start,
    TaskKind.STOP: stop,
    TaskKind.DELETION: delete,
}


def _cluster(attempt: Attempt) -> Cluster:
    return Cluster.objects.get(pk=attempt.task.subject_id)


def _target(attempt: Attempt, cluster: Cluster) -> Resources:
    """What the cluster should become; checked again, because tasks before this one may have
    ended otherwise.
    """
    target = resources_of(cluster).changed(attempt.task.arguments["changes"])
    try:
        check_resources(target, get_driver().capabilities)
    except InvalidArgument as error:
        raise JobFailed(error.message, permanent=True) from error
    return target


def _drive(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Report every step; between two steps is the safe point where a request to stop is met."""
    try:
        for step in steps:
            attempt.report(step.percent, step.phase, step.message)
    except DriverError as error:
        raise JobFailed(str(error), permanent=error.permanent) from error


def _finish(steps: Iterator[Progress]) -> None:
    """Clean up without reporting: the progress of a task never goes backwards."""
    try:
        for _ in steps:
            pass
    except DriverError as error:
        raise JobFailed(f"cleaning up: {error}", permanent=error.permanent) from error


def _note_seen(attempt: Attempt, cluster: Cluster) -> None:
    seen = get_driver().observe([cluster.cluster_id])[cluster.cluster_id]
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**seen_changes(seen))


def seen_changes(seen: Observation) -> dict[str, object]:
    """The columns that an observation fills."""
    changes: dict[str, object] = {
        "condition": CONDITION_OF[seen.presence],
        "effective_cores": seen.effective_cores,
    }
    if seen.presence is Presence.RUNNING:
        changes["seen_at"] = timezone.now()
    if seen.endpoint:
        changes |= {"host": seen.endpoint.host, "port": seen.endpoint.port}
    return changes


def _retry(task: Task, by: str) -> Task:
    return retry_task(Cluster.objects.get(pk=task.subject_id), task, by=by)


def _hold(task: Task) -> None:
    """Lock the cluster's row: everybody takes it before the task's."""
    Cluster.objects.select_for_update(of=("self",)).filter(pk=task.subject_id).first()


def _settled(task: Task) -> None:
    """The task has ended: what was asked for holds now, or is known not to."""
    cluster = Cluster.objects.get(pk=task.subject_id)
    kind, message = TaskKind(task.kind), ""
    if task.state == TaskState.SUCCEEDED:
        _apply(cluster, kind, task)
    elif task.state == TaskState.FAILED:
        cluster.change_failed = True
        message = f"{task.kind} failed ({task.task_id}): {task.message}"
    elif cluster.condition == Condition.ABSENT:
        message = f"{task.kind} was cancelled ({task.task_id}); retry it or delete the cluster."
    refresh_status(cluster, message)


def _apply(cluster: Cluster, kind: TaskKind, task: Task) -> None:
    cluster.change_failed = False
    cluster.wanted_running = RUNS_AFTER.get(kind, cluster.wanted_running)
    target = resources_of(cluster).changed(task.arguments.get("changes", {}))
    for field, value in target.as_dict().items():
        setattr(cluster, field, value)
    if kind is TaskKind.DELETION:
        cluster.condition = Condition.GONE
        cluster.deleted_at = timezone.now()
        cluster.sealed_token = ""
