"""Jobs of clusters, one function per task kind: call the driver, report its progress, and store
the observation afterwards.

A cancelled job restores the previous state. `outcomes` changes the cluster's row at the task's end.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

from django.utils import timezone

from clusters.driver import columns_of, driver_of, is_operated_elsewhere, observe, spec_of
from clusters.drivers.base import (
    ClusterSpec,
    DriverError,
    Guard,
    Presence,
    Progress,
)
from clusters.models import Cluster
from clusters.outcomes import settle
from clusters.resources import check_resources, resources_of
from clusters.services import retry_task
from clusters.states import Condition, TaskKind
from vbase_console.core.errors import InvalidArgument
from vbase_console.organizations.scopes import CREATE_CLUSTER, DELETE_CLUSTER, SCALE_CLUSTER
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Handler, Job, register
from vbase_console.tasks.states import LEASED

CLEANUP_TIMEOUT_SECONDS = 30.0
CLEANUP_POLL_SECONDS = 0.2

Change = Callable[[ClusterSpec, Guard], Iterator[Progress]]


def register_all() -> None:
    for kind, (run, scope) in JOBS.items():
        register(
            Job(
                kind=kind,
                scope=scope,
                handler=_observing_a_failure(run),
                settled=settle,
                hold=_hold,
                cancellable=kind is not TaskKind.DELETION,
                retry=_retry,
            )
        )


def deploy(attempt: Attempt) -> None:
    """Create the cluster. A cancelled deployment leaves nothing."""
    cluster = _read_cluster(attempt)
    driver = driver_of(cluster)
    try:
        _drive(attempt, driver.create(spec_of(cluster), attempt.guard))
    except JobCancelled:
        _undo(attempt, driver.delete(cluster.cluster_id, attempt.guard))
        raise
    _store_running(attempt, cluster)


def scale(attempt: Attempt) -> None:
    """Scale a running cluster. A stopped one gets the new resources at its next start."""
    cluster = _read_deployed_cluster(attempt)
    _change_resources(attempt, cluster, driver_of(cluster).scale)


def upgrade(attempt: Attempt) -> None:
    cluster = _read_deployed_cluster(attempt)
    _change_resources(attempt, cluster, driver_of(cluster).upgrade)


def restart(attempt: Attempt) -> None:
    cluster = _read_deployed_cluster(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).restart)


def start(attempt: Attempt) -> None:
    cluster = _read_deployed_cluster(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).start)


def stop(attempt: Attempt) -> None:
    cluster = _read_deployed_cluster(attempt)
    driver = driver_of(cluster)
    try:
        _drive(attempt, driver.stop(cluster.cluster_id, attempt.guard))
    except JobCancelled:
        _undo(attempt, driver.start(spec_of(cluster), attempt.guard))
        raise


def delete(attempt: Attempt) -> None:
    cluster = _read_cluster(attempt)
    if is_operated_elsewhere(cluster):
        _wait_for_cleanups(attempt, cluster)
    _drive(attempt, driver_of(cluster).delete(cluster.cluster_id, attempt.guard))


JOBS: dict[TaskKind, tuple[Handler, str]] = {
    TaskKind.DEPLOYMENT: (deploy, CREATE_CLUSTER),
    TaskKind.SCALING: (scale, SCALE_CLUSTER),
    TaskKind.VERSION_UPGRADE: (upgrade, SCALE_CLUSTER),
    TaskKind.RESTART: (restart, SCALE_CLUSTER),
    TaskKind.START: (start, SCALE_CLUSTER),
    TaskKind.STOP: (stop, SCALE_CLUSTER),
    TaskKind.DELETION: (delete, DELETE_CLUSTER),
}
"""Kind → its handler, and the scope that a cancellation or a retry needs."""


def _bring_up(attempt: Attempt, cluster: Cluster, change: Change) -> None:
    driver = driver_of(cluster)
    try:
        _drive(attempt, change(spec_of(cluster), attempt.guard))
    except JobCancelled:
        if cluster.wanted_running:
            _undo(attempt, driver.start(spec_of(cluster), attempt.guard))
        else:
            _undo(attempt, driver.stop(cluster.cluster_id, attempt.guard))
        raise
    _store_running(attempt, cluster)


def _change_resources(attempt: Attempt, cluster: Cluster, change: Change) -> None:
    target = resources_of(cluster).changed(attempt.task.arguments["changes"])
    try:  # again, because an earlier task may have failed since the request
        check_resources(target, driver_of(cluster).capabilities)
    except InvalidArgument as error:
        raise JobFailed(error.message, permanent=True) from error
    if not cluster.wanted_running:
        return
    try:
        _drive(attempt, change(spec_of(cluster, target), attempt.guard))
    except JobCancelled:
        _undo(attempt, change(spec_of(cluster), attempt.guard))
        raise
    _store_running(attempt, cluster)


def _wait_for_cleanups(attempt: Attempt, cluster: Cluster) -> None:
    """Wait until cancelled jobs have cleaned up on the server. Their token is erased afterwards.

    Only backups that have released the cluster's lock can still run. A job whose worker has died
    ends this wait late.
    """
    deadline = time.monotonic() + CLEANUP_TIMEOUT_SECONDS
    running = Task.objects.filter(lock=cluster.lock, state__in=LEASED).exclude(pk=attempt.task.pk)
    while time.monotonic() < deadline and (task := running.first()):
        attempt.report(10, "detaching", f"Waiting until {task.task_id} has cleaned up.")
        time.sleep(CLEANUP_POLL_SECONDS)


def _read_cluster(attempt: Attempt) -> Cluster:
    """Read the row under its lock, so that no rotation of the token is in progress."""
    with attempt.fenced():
        return Cluster.objects.get(pk=attempt.task.subject_id)


def _read_deployed_cluster(attempt: Attempt) -> Cluster:
    """Read a cluster that exists. Only a DEPLOYMENT may start one without data."""
    cluster = _read_cluster(attempt)
    if cluster.condition in (Condition.ABSENT, Condition.GONE):
        raise JobFailed(f"{cluster.cluster_id} is not deployed.", permanent=True)
    if observe(cluster).presence is Presence.MISSING:
        raise JobFailed(
            f"The data of {cluster.cluster_id} is missing. "
            "Restore the data directory or delete the cluster.",
            permanent=False,
        )
    return cluster


def _drive(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Report every step. Safe points for a cancellation are before the first and between steps."""
    attempt.safe_point()
    try:
        for step in steps:
            attempt.report(step.percent, step.phase, step.message)
    except DriverError as error:
        raise JobFailed(str(error), permanent=error.permanent) from error


def _undo(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Restore the previous state, unless a deletion waits. Reports no steps, because the progress
    of a task never decreases.
    """
    tasks = Task.objects.about(attempt.task.subject_id)
    deletions = tasks.active().filter(kind=TaskKind.DELETION)
    try:
        while not deletions.exists() and next(steps, None):
            pass
    except DriverError as error:
        raise JobFailed(f"Undo failed: {error}", permanent=error.permanent) from error


def _observing_a_failure(run: Handler) -> Handler:
    """Observe the cluster when the job fails or is cancelled, because its row may be wrong then."""

    @functools.wraps(run)
    def handler(attempt: Attempt) -> None:
        try:
            run(attempt)
        except DriverError as error:  # before the first step, for example: driver not installed
            _store_observation(attempt)
            raise JobFailed(str(error), permanent=error.permanent) from error
        except (JobFailed, JobCancelled):
            _store_observation(attempt)
            raise

    return handler


def _store_observation(attempt: Attempt) -> None:
    cluster = _read_cluster(attempt)
    if cluster.condition == Condition.ABSENT:
        return
    try:
        changes = columns_of(observe(cluster))
    except DriverError:
        changes = {"condition": Condition.UNSEEN}
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**changes)


def _store_running(attempt: Attempt, cluster: Cluster) -> None:
    """Store the running cluster. Raises JobFailed if its process has exited since it answered."""
    observation = observe(cluster)
    if observation.presence is Presence.UNREACHABLE:
        raise JobFailed(observation.message, permanent=True)
    if observation.presence not in (Presence.RUNNING, Presence.STARTING, Presence.SILENT):
        message = f"The Milvus process exited right after startup. {observation.message}"
        raise JobFailed(message.strip(), permanent=False)
    changes = columns_of(observation) | {"condition": Condition.RUNNING, "seen_at": timezone.now()}
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**changes)


def _retry(task: Task, by: str) -> Task:
    return retry_task(Cluster.objects.get(pk=task.subject_id), task, by=by)


def _hold(task: Task) -> None:
    """Lock the cluster's row before the task's, as every transaction does."""
    Cluster.objects.locked(task.subject_id)
