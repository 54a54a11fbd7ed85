"""What becomes of a backup that there is: verified, pinned, deleted."""

from __future__ import annotations

from django.db import transaction

from backups.models import Backup, BackupJob, PolicyRun
from backups.protection.judging import judge_without
from backups.services.admission import hold_backup, refuse_while_used, require_available
from backups.services.asking import ask_about
from backups.states import BackupStatus, JobKind
from vbase_console.errors import FailedPrecondition


@transaction.atomic
def verify_backup(
    backup: Backup, *, by: str, retry_of: str = "", limited: bool = True
) -> BackupJob:
    """Ask whether every byte of the archive is what it was when it was sealed."""
    backup = hold_backup(backup)
    require_available(backup)
    return ask_about(JobKind.VERIFY, backup, by=by, retry_of=retry_of, limited=limited)


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
