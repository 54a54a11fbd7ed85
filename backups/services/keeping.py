"""What becomes of a backup that there is: verified, pinned, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from backups.archive.damage import ArchiveDamaged, Finding, printable
from backups.hands import open_archive, require_store
from backups.models import FOUND_BY_READING, Backup, BackupJob, PolicyRun
from backups.protection.judging import judge, judge_without
from backups.services.admission import hold_backup, refuse_while_used, require_available
from backups.services.asking import ask_about
from backups.states import BackupStatus, JobKind
from vbase_console.errors import FailedPrecondition

if TYPE_CHECKING:
    from backups.archive.reader import ArchiveReader


@transaction.atomic
def verify_backup(
    backup: Backup, *, by: str, retry_of: str = "", limited: bool = True
) -> BackupJob:
    """Ask whether every byte of the archive is what it was when it was sealed."""
    backup = hold_backup(backup)
    require_available(backup)
    return ask_about(JobKind.VERIFY, backup, by=by, retry_of=retry_of, limited=limited)


def read_archive(backup: Backup) -> ArchiveReader:
    """Open the archive for a request. Damage that this comes upon is noted with the backup, so that
    every list and page tells of it. Call this outside of transactions that an error rolls back.
    """
    try:
        return open_archive(backup)
    except ArchiveDamaged as damage:
        require_store()
        _note_damage(backup, Finding(printable(damage.file), damage.problem))
        raise


@transaction.atomic
def _note_damage(backup: Backup, finding: Finding) -> None:
    """Beside what a job has noted. A backup that is being deleted meanwhile is not damaged."""
    backup = hold_backup(backup)
    known = backup.findings
    if backup.status == BackupStatus.AVAILABLE and finding not in known:
        by = backup.damaged_by or FOUND_BY_READING
        Backup.objects.filter(pk=backup.pk).mark_damaged(by=by, findings=[*known, finding])
        judge(backup.cluster_id)


@transaction.atomic
def delete_backup(backup: Backup, *, by: str, limited: bool = True) -> BackupJob:
    """From now on nobody can restore it; the job succeeds when its files are gone. `limited` is
    False for deletions that follow from another decision: retention, or the cluster's deletion.
    """
    backup = hold_backup(backup)
    refuse_while_used(backup)
    if backup.pinned:
        raise FailedPrecondition(f"{backup.name} is pinned; unpin it first.")
    backup.status = BackupStatus.DELETING
    backup.save(update_fields=["status"])
    judge_without(backup)
    return ask_about(JobKind.DELETE, backup, by=by, limited=limited)


@transaction.atomic
def delete_again(backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    """For a deletion whose job is dead: another one goes on with it. No limit refuses it, because
    the backup was accepted for deletion before.
    """
    backup = hold_backup(backup)
    if backup.status != BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is deleted already.")
    return ask_about(JobKind.DELETE, backup, by=by, retry_of=retry_of, limited=False)


@transaction.atomic
def set_pinned(backup: Backup, *, pinned: bool) -> Backup:
    """A pinned backup is deleted by nobody: no policy, no person."""
    backup = hold_backup(backup)
    require_available(backup)
    backup.pinned = pinned
    backup.save(update_fields=["pinned"])
    if not pinned:
        PolicyRun.objects.retain_again(backup.policy_id)
    return backup
