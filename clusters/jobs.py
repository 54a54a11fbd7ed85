"""One short function per task kind: drive the driver, report what it did, note what is seen
afterwards.

What the end of a task means for the cluster's row is decided in `outcomes`. A job that is cancelled
brings back what was before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from django.utils import timezone

from clusters.driver import columns_of, driver_of, observe, spec_of
from clusters.drivers.base import (
    ClusterSpec,
    DriverError,
    Guard,
    Presence,
    Progress,
)
from clusters.models import Cluster
from clusters.outcomes import settle
from clusters.resources import Resources, check_resources, resources_of
from clusters.services import retry_task
from clusters.states import Condition, TaskKind
from vbase_console.core.errors import InvalidArgument
from vbase_console.organizations.scopes import CREATE_CLUSTER, DELETE_CLUSTER, SCALE_CLUSTER
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Handler, Job, register

Change = Callable[[ClusterSpec, Guard], Iterator[Progress]]


def register_all() -> None:
    for kind, (run, scope) in JOBS.items():
        register(
            Job(
                kind=kind,
                scope=scope,
                handler=_looking_afterwards(run),
                settled=settle,
                hold=_hold,
                cancellable=kind is not TaskKind.DELETION,
                retry=_retry,
            )
        )


def deploy(attempt: Attempt) -> None:
    """Make the cluster; a deployment that is cancelled leaves nothing behind."""
    cluster = _cluster(attempt)
    driver = driver_of(cluster)
    try:
        _drive(attempt, driver.create(spec_of(cluster), attempt.guard))
    except JobCancelled:
        _undo(attempt, driver.delete(cluster.cluster_id, attempt.guard))
        raise
    _note_running(attempt, cluster)


def scale(attempt: Attempt) -> None:
    """Bring a running cluster to its new resources; a stopped one takes them when it starts."""
    cluster = _made(attempt)
    _change_resources(attempt, cluster, driver_of(cluster).scale)


def upgrade(attempt: Attempt) -> None:
    cluster = _made(attempt)
    _change_resources(attempt, cluster, driver_of(cluster).upgrade)


def restart(attempt: Attempt) -> None:
    cluster = _made(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).restart)


def start(attempt: Attempt) -> None:
    cluster = _made(attempt)
    _bring_up(attempt, cluster, driver_of(cluster).start)


def stop(attempt: Attempt) -> None:
    cluster = _made(attempt)
    driver = driver_of(cluster)
    try:
        _drive(attempt, driver.stop(cluster.cluster_id, attempt.guard))
    except JobCancelled:
        _undo(attempt, driver.start(spec_of(cluster), attempt.guard))
        raise


def delete(attempt: Attempt) -> None:
    cluster = _cluster(attempt)
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
    _note_running(attempt, cluster)


def _change_resources(attempt: Attempt, cluster: Cluster, change: Change) -> None:
    target = _target(attempt, cluster)
    if not cluster.wanted_running:
        return
    try:
        _drive(attempt, change(spec_of(cluster, target), attempt.guard))
    except JobCancelled:
        _undo(attempt, change(spec_of(cluster), attempt.guard))
        raise
    _note_running(attempt, cluster)


def _cluster(attempt: Attempt) -> Cluster:
    """Read while nobody changes it: whoever rotates its token has ended, or waits for this job."""
    with attempt.fenced():
        return Cluster.objects.get(pk=attempt.task.subject_id)


def _made(attempt: Attempt) -> Cluster:
    """A cluster that there is: no job but DEPLOYMENT may bring up an empty one in its place."""
    cluster = _cluster(attempt)
    if cluster.condition in (Condition.ABSENT, Condition.GONE):
        raise JobFailed(f"{cluster.cluster_id} is not deployed.", permanent=True)
    if observe(cluster).presence is Presence.MISSING:
        raise JobFailed(
            f"The data of {cluster.cluster_id} is missing; bring it back, or delete the cluster.",
            permanent=False,
        )
    return cluster


def _target(attempt: Attempt, cluster: Cluster) -> Resources:
    """What the cluster should become; checked again, because tasks before this one may have
    ended otherwise.
    """
    target = resources_of(cluster).changed(attempt.task.arguments["changes"])
    try:
        check_resources(target, driver_of(cluster).capabilities)
    except InvalidArgument as error:
        raise JobFailed(error.message, permanent=True) from error
    return target


def _drive(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Report every step; before the first and between two is the safe point where a request to
    stop is met.
    """
    attempt.safe_point()
    try:
        for step in steps:
            attempt.report(step.percent, step.phase, step.message)
    except DriverError as error:
        raise JobFailed(str(error), permanent=error.permanent) from error


def _undo(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Clean up without reporting, because the progress of a task never goes backwards; and only
    for as long as nobody waits to remove everything anyway.
    """
    try:
        while not _deletion_waits(attempt.task) and next(steps, None):
            pass
    except DriverError as error:
        raise JobFailed(f"cleaning up: {error}", permanent=error.permanent) from error


def _deletion_waits(task: Task) -> bool:
    return Task.objects.about(task.subject_id).active().filter(kind=TaskKind.DELETION).exists()


def _looking_afterwards(run: Handler) -> Handler:
    """A job that did not reach its end leaves something else than what the row says: look, so
    that the status is true at once.
    """

    @functools.wraps(run)
    def looking(attempt: Attempt) -> None:
        try:
            run(attempt)
        except (JobFailed, JobCancelled):
            _note_seen(attempt)
            raise

    return looking


def _note_seen(attempt: Attempt) -> None:
    cluster = _cluster(attempt)
    if cluster.condition == Condition.ABSENT:
        return
    try:
        changes = columns_of(observe(cluster))
    except DriverError:
        changes = {"condition": Condition.UNSEEN}
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**changes)


def _note_running(attempt: Attempt, cluster: Cluster) -> None:
    """The driver had it answer a moment ago; if it has ended since, the job has not done its
    work.
    """
    seen = observe(cluster)
    if seen.presence not in (Presence.RUNNING, Presence.STARTING):
        raise JobFailed(f"It ended right after it was up. {seen.message}".strip(), permanent=False)
    changes = columns_of(seen) | {"condition": Condition.RUNNING, "seen_at": timezone.now()}
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**changes)


def _retry(task: Task, by: str) -> Task:
    return retry_task(Cluster.objects.get(pk=task.subject_id), task, by=by)


def _hold(task: Task) -> None:
    """Lock the cluster's row before the task's, as every transaction does."""
    Cluster.objects.locked(task.subject_id)
