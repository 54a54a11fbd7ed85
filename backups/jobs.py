"""One short function per job type; what a job's end means for the backup is decided in `_settled`,
in the transaction that ends the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.utils import timezone

from backups import capture, restore
from backups.archive.codec import FormatError
from backups.archive.reader import ArchiveDamaged
from backups.archive.verify import check, listed, printable
from backups.archive.writer import delete_archive
from backups.hands import get_store, open_archive, require_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.protection.inventory import follow_job
from backups.services import delete_backup, retry_job
from backups.states import BackupStatus, JobKind
from backups.stores.base import StoreError, StoreFull
from clusters.drivers.base import DriverError
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.errors import Unavailable
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job, register
from vbase_console.tasks.states import TaskState

MOST_FINDINGS = 10
STORE_FULL = (
    "The backup store is full, and what this job wrote is removed: delete backups that nobody "
    "needs, or give the store more room, then ask again."
)


def register_all() -> None:
    for kind, run in RUNS.items():
        register(
            Job(
                kind=kind,
                run=run,
                settled=_settled,
                hold=_hold,
                undo=UNDOES.get(kind, _nothing_to_undo),
                must_finish=MUST_FINISH.get(kind, _never),
                cancellable=kind is not JobKind.DELETE,
                id_prefix="job",
                retry=_retry,
            )
        )


def take(attempt: Attempt) -> None:
    """Write an archive; one that is given up leaves neither files nor pins."""
    with _in_words():
        capture.capture(attempt, _job(attempt))


def bring_back(attempt: Attempt) -> None:
    """Restore, or leave the target as it was."""
    with _in_words():
        try:
            restore.restore(attempt, _job(attempt))
        except ArchiveDamaged:
            _note_damage(attempt)
            raise


def verify(attempt: Attempt) -> None:
    """Read every byte of the archive; whatever is not as it was sealed is named."""
    job = _job(attempt)
    with _in_words():
        found = _damage_in(attempt, job.backup) or _not_the_sealed(job.backup)
        if found:
            _note_damage(attempt)
            raise JobFailed(_findings(found), permanent=True)
    with attempt.fenced():
        Backup.objects.filter(pk=job.backup_id).update(verified_at=timezone.now(), damaged_by="")


def _damage_in(attempt: Attempt, backup: Backup) -> list[str]:
    store = get_store()
    lying = listed(store, backup.directory)
    total, done, found = sum(entry.size for entry in lying.values()), 0, []
    for checked in check(store, backup.directory, lying):
        done += checked.bytes
        if checked.problem:
            found.append(str(checked))
        said = f"Checked {done} of {total} bytes."
        attempt.report(99 * done // max(1, total), "verifying", said)
    return found


def _not_the_sealed(backup: Backup) -> list[str]:
    """Whole in itself, and yet another's, or written anew."""
    try:
        open_archive(backup)
    except ArchiveDamaged as damage:
        return [printable(str(damage))]
    return []


def _note_damage(attempt: Attempt) -> None:
    """Nobody counts on the backup any more, unless the store is away as a whole."""
    require_store()
    attempt.remember(damaged=True)


def delete(attempt: Attempt) -> None:
    """The manifest goes first: what is half deleted is no backup any more."""
    job = _job(attempt)
    attempt.report(10, "deleting", "Removing the manifest, then the parts.")
    attempt.guard()
    with _in_words():
        delete_archive(get_store(), job.backup.directory)


RUNS: dict[JobKind, Callable[[Attempt], None]] = {
    JobKind.BACKUP: take,
    JobKind.RESTORE: bring_back,
    JobKind.VERIFY: verify,
    JobKind.DELETE: delete,
}


UNDOES: dict[JobKind, Callable[[Attempt], None]] = {
    JobKind.BACKUP: lambda attempt: capture.undo(_job(attempt), attempt.guard),
    JobKind.RESTORE: lambda attempt: restore.undo(attempt, _job(attempt)),
}
MUST_FINISH: dict[JobKind, Callable[[Task], bool]] = {
    JobKind.BACKUP: capture.must_finish,
    JobKind.RESTORE: restore.must_finish,
}


def _nothing_to_undo(attempt: Attempt) -> None:
    """Verifying changes nothing, and a deletion only goes forward."""


def _never(task: Task) -> bool:
    return False


def _job(attempt: Attempt) -> BackupJob:
    return BackupJob.objects.select_related("backup", "cluster", "task").get(task=attempt.task)


@contextmanager
def _in_words() -> Iterator[None]:
    """What the layers below raise, as the engine understands it."""
    try:
        yield
    except StoreFull as error:
        raise JobFailed(STORE_FULL, permanent=True) from error
    except (MilvusError, StoreError, DriverError) as error:
        raise JobFailed(str(error), permanent=error.permanent) from error
    except (ArchiveDamaged, FormatError) as error:
        raise JobFailed(str(error), permanent=True) from error
    except Unavailable as error:
        raise JobFailed(error.message, permanent=False) from error


def _findings(found: list[str]) -> str:
    more = len(found) - MOST_FINDINGS
    tail = [f"and {more} more"] if more > 0 else []
    return "; ".join([*found[:MOST_FINDINGS], *tail])


def _retry(task: Task, by: str) -> Task:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return retry_job(jobs.get(task=task), by=by).task


def _hold(task: Task) -> None:
    """Lock the cluster's and the backup's rows, in this order, before the task's."""
    job = BackupJob.objects.select_related("backup").filter(task=task).first()
    if job is not None:
        Cluster.objects.select_for_update(of=("self",)).filter(pk=job.cluster_id).first()
        Backup.objects.select_for_update(of=("self",)).filter(pk=job.backup_id).first()


def _settled(task: Task) -> None:
    job = BackupJob.objects.select_related("backup").get(task=task)
    kind, state = JobKind(job.job_type), TaskState(task.state)
    changes: dict[str, object] = {"status": _status_after(kind, state, job.backup)}
    if kind is JobKind.RESTORE and state == TaskState.SUCCEEDED and task.checkpoint.get("proves"):
        changes["proven_at"] = timezone.now()
    if task.checkpoint.get("damaged") and state != TaskState.SUCCEEDED:
        changes |= {"verified_at": None, "proven_at": None, "damaged_by": task.task_id}
    if changes["status"] == BackupStatus.GONE:
        changes["deleted_at"] = timezone.now()
    Backup.objects.filter(pk=job.backup_id).update(**changes)
    follow_job(job, succeeded=state == TaskState.SUCCEEDED)
    if kind is JobKind.BACKUP and state == TaskState.SUCCEEDED:
        _go_with_its_cluster(job)


def _go_with_its_cluster(job: BackupJob) -> None:
    """Whoever deleted its cluster may have asked for the backups, too; this one was still being
    written then.
    """
    deletions = Task.objects.filter(subject_id=job.cluster_id, kind=TaskKind.DELETION)
    deletion = deletions.filter(arguments__delete_backups=True).first()
    if deletion is not None:
        delete_backup(job.backup, by=deletion.requested_by)


def _status_after(kind: JobKind, ended: TaskState, backup: Backup) -> BackupStatus:
    succeeded = ended == TaskState.SUCCEEDED
    if kind is JobKind.BACKUP:
        return BackupStatus.AVAILABLE if succeeded else BackupStatus.GONE
    if kind is JobKind.DELETE and succeeded:
        return BackupStatus.GONE
    return BackupStatus(backup.status)
