"""Restores into an attached cluster that is being detached while its server does not answer.

Such a restore could clean up only later, and the deletion would wait for it for ever. It ends
instead, with a warning that names what it has left on the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backups.milvus.errors import MilvusError
from backups.models import BackupJob
from backups.restore.checkpoint import RestoreCheckpoint, swaps_of
from backups.restore.job import must_finish
from clusters.driver import is_operated_elsewhere
from clusters.drivers.base import DriverError
from clusters.states import TaskKind
from vbase_console.core.errors import Unavailable
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

SERVER_ERRORS = (MilvusError, DriverError, Unavailable)


@contextmanager
def detach_despite_errors(attempt: Attempt, job: BackupJob) -> Iterator[None]:
    """End an undo that fails on the server, if the cluster is being detached."""
    try:
        yield
    except SERVER_ERRORS as error:
        if not _is_being_detached(job):
            raise
        attempt.warn(_left_behind(attempt.task, job, error))


@contextmanager
def detach_after_swap(attempt: Attempt, job: BackupJob) -> Iterator[None]:
    """End a restore whose collections have their names, although the old ones are not dropped."""
    try:
        yield
    except SERVER_ERRORS as error:
        if not (must_finish(attempt.task) and _is_being_detached(job)):
            raise
        attempt.warn(_left_behind(attempt.task, job, error))


def _is_being_detached(job: BackupJob) -> bool:
    deletions = Task.objects.about(job.cluster_id).active().filter(kind=TaskKind.DELETION)
    return is_operated_elsewhere(job.cluster) and deletions.exists()


def _left_behind(task: Task, job: BackupJob, error: Exception) -> str:
    swaps = swaps_of(task.task_id, RestoreCheckpoint(task.checkpoint).steps)
    names = [f"{swap.hidden} or {swap.old} (of {swap.step.target})" for swap in swaps]
    parts = [f"The cluster was detached while its server did not answer ({error})."]
    if names:
        parts.append(
            f"Look into database '{job.db_name}' for {', '.join(names)}: rename an old collection "
            "back if its name is free, and drop the other ones."
        )
    return " ".join(parts)
