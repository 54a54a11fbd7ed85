"""Handlers of the jobs that read or write an archive: one function per job type, and its undo.

Only this module imports pyarrow and pymilvus, so that processes without such jobs start without
them (see `backups.jobs`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.utils import timezone

from backups.archive.codec import FormatError
from backups.archive.damage import ALL_PARTS, ArchiveDamaged, Finding, printable, summarize
from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.archive.verify import FileCheck, check, listed
from backups.capture import job as capture_job
from backups.connections import get_store, open_archive, require_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.restore import job as restore_job
from backups.restore.detaching import detach_after_swap, detach_despite_errors
from backups.stores.base import StoreError, StoreFull
from clusters.drivers.base import DriverError
from clusters.states import Condition, TaskKind
from vbase_console.core.errors import Unavailable
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import FINISHED

MAX_RECORDED_FINDINGS = 1000
STORE_FULL = (
    "The backup store is full. The files of this job were removed. Delete unused backups or "
    "enlarge the store, then retry."
)


def back_up(attempt: Attempt) -> None:
    with translate_errors():
        capture_job.capture(attempt, _job(attempt))


def undo_back_up(attempt: Attempt) -> None:
    capture_job.undo(_job(attempt), attempt.guard)


def restore(attempt: Attempt) -> None:
    job = _job(attempt)
    _require_deployed(job)
    with translate_errors(), detach_after_swap(attempt, job):
        try:
            restore_job.restore(attempt, job)
        except ArchiveDamaged as damage:
            if not (_damaged_again(job.backup, {damage.file}) or _foreign_manifest(job.backup)):
                problem = f"{damage} A second reading found the file sound."
                raise JobFailed(problem, permanent=False) from damage
            _record_damage(attempt, [Finding(printable(damage.file), damage.problem)])
            raise


def undo_restore(attempt: Attempt) -> None:
    job = _job(attempt)
    if job.cluster.condition == Condition.ABSENT:
        return  # no attempt has reached a server
    if job.fills_new_cluster and not job.cluster.deletion_protection:
        return  # the cluster is removed, and its server may be the reason
    with detach_despite_errors(attempt, job):
        restore_job.undo(attempt, job)


def _require_deployed(job: BackupJob) -> None:
    """Fail at once if the deployment that the job waited for did not succeed."""
    if job.cluster.condition != Condition.ABSENT:
        return
    ended = Task.objects.changes_of(job.cluster_id).filter(state__in=FINISHED)
    deployment = ended.filter(kind=TaskKind.DEPLOYMENT).first()
    reason = f" {deployment.message} ({deployment.task_id})" if deployment else ""
    raise JobFailed(f"{job.cluster.name} was not deployed.{reason}", permanent=True)


def verify(attempt: Attempt) -> None:
    """Compare every byte of the archive with its manifest. The job fails if a file is damaged."""
    job = _job(attempt)
    with translate_errors():
        findings = _damage_in(attempt, job.backup) or _foreign_manifest(job.backup)
        if findings:
            _record_damage(attempt, findings)
            raise JobFailed(summarize(findings), permanent=True)
    with attempt.fenced():
        Backup.objects.filter(pk=job.backup_id).mark_whole(at=timezone.now())


def _damage_in(attempt: Attempt, backup: Backup) -> list[Finding]:
    store = get_store()
    entries = listed(store, backup.directory)
    total, done = sum(entry.size for entry in entries.values()), 0
    damaged: list[FileCheck] = []
    for checked in check(store, backup.directory, entries):
        done += checked.bytes
        if checked.problem:
            damaged.append(checked)
        message = f"Checked {done} of {total} bytes."
        attempt.report(99 * done // max(1, total), "verifying", message)
    if damaged:
        damaged = _damaged_again(backup, {checked.file for checked in damaged})
    return [Finding(printable(checked.file), str(checked.problem)) for checked in damaged]


def _damaged_again(backup: Backup, files: set[str]) -> list[FileCheck]:
    """Read damaged files once more, because a network may have altered an answer."""
    store = get_store()
    entries = listed(store, backup.directory)
    read = {name: entries[name] for name in entries.keys() & (files | {MANIFEST_NAME})}
    checked = check(store, backup.directory, read)
    return [file for file in checked if file.problem and file.file in files]


def _foreign_manifest(backup: Backup) -> list[Finding]:
    """Find an archive that is intact but is not the one that was sealed for this backup."""
    try:
        open_archive(backup)
    except ArchiveDamaged as damage:
        return [Finding(printable(damage.file), damage.problem)]
    return []


def _record_damage(attempt: Attempt, findings: Sequence[Finding]) -> None:
    """Record findings in the checkpoint, unless the whole store is unavailable. More than
    `MAX_RECORDED_FINDINGS` findings are recorded as one.
    """
    require_store()
    if len(findings) > MAX_RECORDED_FINDINGS:
        problem = f"{len(findings)} files are missing or not as they were sealed"
        findings = [Finding(ALL_PARTS, problem)]
    attempt.save_checkpoint(
        damaged=True, findings=[dataclasses.asdict(finding) for finding in findings]
    )


def delete(attempt: Attempt) -> None:
    """Delete the archive. The manifest is deleted first, so that no incomplete archive looks
    complete.
    """
    job = _job(attempt)
    attempt.report(10, "deleting", "Removing the manifest, then the parts.")
    attempt.guard()
    with translate_errors():
        delete_archive(get_store(), job.backup.directory)


def _job(attempt: Attempt) -> BackupJob:
    return BackupJob.objects.select_related("backup", "cluster", "task").get(task=attempt.task)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of Milvus, the store and the archive to failures of the job."""
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
