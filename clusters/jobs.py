"""Jobs of clusters, one function per task kind: call the driver, report its progress, and store
the observation afterwards.

A cancelled job restores the previous state. `outcomes` changes the cluster's row at the task's end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from clusters import rollouts, upgrades
from clusters.driver import driver_of, is_operated_elsewhere, spec_of
from clusters.drivers.base import ClusterSpec, Guard, Progress
from clusters.job_steps import (
    drive,
    observing_a_failure,
    read_cluster,
    read_deployed_cluster,
    restore,
    store_running,
)
from clusters.models import Cluster
from clusters.outcomes import cancel_effect, settle
from clusters.resources import check_resources, resources_of
from clusters.services import retry_task
from clusters.states import TaskKind
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
                handler=observing_a_failure(run),
                undo=upgrades.undo if kind is TaskKind.VERSION_UPGRADE else None,
                must_finish=upgrades.must_finish if kind is TaskKind.VERSION_UPGRADE else None,
                settled=_settle,
                hold=_hold,
                cancel_effect=cancel_effect,
                cancellable=kind is not TaskKind.DELETION,
                retry=_retry,
            )
        )


def deploy(attempt: Attempt) -> None:
    """Create the cluster. A cancelled deployment leaves nothing."""
    cluster = read_cluster(attempt)
    driver = driver_of(cluster)
    try:
        drive(attempt, driver.create(spec_of(cluster), attempt.guard))
    except JobCancelled:
        restore(attempt, driver.delete(cluster.cluster_id, attempt.guard))
        raise
    store_running(attempt, cluster)


def scale(attempt: Attempt) -> None:
    """Scale a running cluster. A stopped one gets the new resources at its next start."""
    cluster = read_deployed_cluster(attempt)
    _change_resources(attempt, cluster, driver_of(cluster).scale)


def upgrade(attempt: Attempt) -> None:
    """Change the version. Drivers that keep copies of the data can go back."""
    cluster = read_deployed_cluster(attempt)
    if driver_of(cluster).capabilities.keeps_copies:
        upgrades.upgrade(attempt, cluster)
    else:
        upgrades.upgrade_in_place(attempt, cluster)


def restart(attempt: Attempt) -> None:
    cluster = read_deployed_cluster(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).restart)


def start(attempt: Attempt) -> None:
    cluster = read_deployed_cluster(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).start)


def stop(attempt: Attempt) -> None:
    cluster = read_deployed_cluster(attempt)
    driver = driver_of(cluster)
    try:
        drive(attempt, driver.stop(cluster.cluster_id, attempt.guard))
    except JobCancelled:
        restore(attempt, driver.start(spec_of(cluster), attempt.guard))
        raise


def delete(attempt: Attempt) -> None:
    cluster = read_cluster(attempt)
    if is_operated_elsewhere(cluster):
        _wait_for_cleanups(attempt, cluster)
    drive(attempt, driver_of(cluster).delete(cluster.cluster_id, attempt.guard))


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
        drive(attempt, change(spec_of(cluster), attempt.guard))
    except JobCancelled:
        if cluster.wanted_running:
            restore(attempt, driver.start(spec_of(cluster), attempt.guard))
        else:
            restore(attempt, driver.stop(cluster.cluster_id, attempt.guard))
        raise
    store_running(attempt, cluster)


def _change_resources(attempt: Attempt, cluster: Cluster, change: Change) -> None:
    target = resources_of(cluster).changed(attempt.task.arguments["changes"])
    try:  # again, because an earlier task may have failed since the request
        check_resources(target, driver_of(cluster).capabilities, present=cluster.version)
    except InvalidArgument as error:
        raise JobFailed(error.message, permanent=True) from error
    if not cluster.wanted_running:
        return
    try:
        drive(attempt, change(spec_of(cluster, target), attempt.guard))
    except JobCancelled:
        restore(attempt, change(spec_of(cluster), attempt.guard))
        raise
    store_running(attempt, cluster)


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


def _settle(task: Task) -> None:
    settle(task)
    if task.kind == TaskKind.VERSION_UPGRADE:
        rollouts.end_step(task)


def _retry(task: Task, by: str) -> Task:
    return retry_task(Cluster.objects.get(pk=task.subject_id), task, by=by)


def _hold(task: Task) -> None:
    """Lock the cluster's row before the task's, as every transaction does."""
    Cluster.objects.locked(task.subject_id)
