"""Steps that jobs of clusters share: read the row, drive a driver, store the observation."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from django.utils import timezone

from clusters.driver import columns_of, observe
from clusters.drivers.base import DriverError, Presence, Progress
from clusters.models import Cluster
from clusters.states import Condition, TaskKind
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobCancelled, JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Handler


def read_cluster(attempt: Attempt) -> Cluster:
    """Read the row under its lock, so that no rotation of the token is in progress."""
    with attempt.fenced():
        return Cluster.objects.get(pk=attempt.task.subject_id)


def read_deployed_cluster(attempt: Attempt) -> Cluster:
    """Read a cluster that exists. Only a DEPLOYMENT may start one without data."""
    cluster = read_cluster(attempt)
    if cluster.condition in (Condition.ABSENT, Condition.GONE):
        raise JobFailed(f"{cluster.cluster_id} is not deployed.", permanent=True)
    if observe(cluster).presence is Presence.MISSING:
        raise JobFailed(
            f"The data of {cluster.cluster_id} is missing. "
            "Restore the data directory or delete the cluster.",
            permanent=False,
        )
    return cluster


def drive(attempt: Attempt, steps: Iterator[Progress]) -> None:
    """Report every step. Safe points for a cancellation are before the first and between steps."""
    attempt.safe_point()
    try:
        for step in steps:
            attempt.report(step.percent, step.phase, step.message)
    except DriverError as error:
        raise JobFailed(str(error), permanent=error.permanent) from error


def restore(attempt: Attempt, steps: Iterator[Progress]) -> None:
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


def observing_a_failure(run: Handler) -> Handler:
    """Observe the cluster when the job fails or is cancelled, because its row may be wrong then."""

    @functools.wraps(run)
    def handler(attempt: Attempt) -> None:
        try:
            run(attempt)
        except DriverError as error:  # before the first step, for example: driver not installed
            store_observation(attempt)
            raise JobFailed(str(error), permanent=error.permanent) from error
        except (JobFailed, JobCancelled):
            store_observation(attempt)
            raise

    return handler


def store_observation(attempt: Attempt) -> None:
    cluster = read_cluster(attempt)
    if cluster.condition == Condition.ABSENT:
        return
    try:
        changes = columns_of(observe(cluster))
    except DriverError:
        changes = {"condition": Condition.UNSEEN}
    with attempt.fenced():
        Cluster.objects.filter(pk=cluster.pk).update(**changes)


def store_running(attempt: Attempt, cluster: Cluster) -> None:
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
