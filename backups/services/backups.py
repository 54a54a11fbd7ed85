"""Services of backups: plan and request one; verify, pin and delete it.

Each service locks the cluster's row and then the backup's row. Work that takes time becomes a job.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from backups import observers
from backups.archive.damage import ArchiveDamaged, Finding, printable
from backups.connections import open_archive, require_store
from backups.discovery import query_cluster, require_collections, require_possible
from backups.models import FOUND_BY_READING, NAME, Backup, BackupJob
from backups.names import DEFAULT_DATABASE, MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.services.enqueue import enqueue_job, enqueue_job_about
from backups.services.locks import lock_backup, refuse_while_used, require_available
from backups.states import BackupStatus, JobKind
from clusters.admission import require_running
from clusters.milvus_names import RESERVED_PREFIX, is_reserved
from clusters.models import Cluster
from vbase_console.core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from vbase_console.organizations.differences import note
from vbase_console.organizations.versions import changed

if TYPE_CHECKING:
    from backups.archive.reader import ArchiveReader


NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """A checked request for a backup. Nothing is stored before `submit`."""

    backup: Backup
    collection_names: list[str]
    include_access_control: bool = False

    @transaction.atomic(savepoint=False)
    def submit(
        self,
        *,
        by: str,
        retry_of: str = "",
        locked: Cluster | None = None,
        options: dict[str, str | bool] | None = None,
        limited: bool = True,
        priority: int = 0,
    ) -> BackupJob:
        """Create the backup and its job.

        `locked` is the cluster's row if the caller has locked it. `limited` is False if the caller
        has checked the limit of unfinished tasks.
        """
        cluster = locked or Cluster.objects.locked(self.backup.cluster_id)
        require_running(cluster, JobKind.BACKUP)
        try:
            with transaction.atomic():
                self.backup.save(force_insert=True)
        except IntegrityError as error:
            raise AlreadyExists(
                f"A backup named '{self.backup.name}' exists in this organization. "
                "Choose another name."
            ) from error
        return enqueue_job(
            JobKind.BACKUP,
            backup=self.backup,
            cluster=cluster,
            lock=cluster.lock,
            db_name=self.backup.db_name,
            collection_names=self.collection_names,
            options={**(options or {}), "include_access_control": self.include_access_control},
            by=by,
            retry_of=retry_of,
            limited=limited,
            priority=priority,
        )


def plan_backup(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str = "",
    backup_name: str = "",
    policy_id: str = "",
    include_access_control: bool = False,
) -> BackupRequest:
    """Check a backup of these collections, as they are when its job pins them. Changes nothing.

    A running cluster is queried for the collections, so call this outside of transactions. If a
    task keeps the cluster from answering, the job checks them instead.
    """
    database, chosen = db_name or DEFAULT_DATABASE, _check_collection_names(collection_names)
    require_possible(database, chosen)
    if backup_name:
        try:
            NAME(backup_name)
        except ValidationError as error:
            raise InvalidArgument(field_errors={"backup_name": error.messages}) from error
    require_running(cluster, JobKind.BACKUP)
    query_cluster(cluster, JobKind.BACKUP, lambda: require_collections(cluster, database, chosen))
    backup = Backup(
        organization_id=cluster.organization_id,
        cluster=cluster,
        name=backup_name or default_name(database),
        db_name=database,
        policy_id=policy_id,
    )
    return BackupRequest(
        backup=backup, collection_names=chosen, include_access_control=include_access_control
    )


def default_name(database: str) -> str:
    """Build the name `<database>-<UTC time>-<6 hex digits>` from the valid characters of the
    database's name.
    """
    moment = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    prefix = NOT_IN_A_NAME.sub("_", database).lstrip("_.-")[:100] or "backup"
    return f"{prefix}-{moment}-{secrets.token_hex(3)}"


def _check_collection_names(names: Sequence[str]) -> list[str]:
    chosen = list(dict.fromkeys(name for name in names if name))
    if not chosen:
        raise InvalidArgument(field_errors={"collection_names": ["Name at least one collection."]})
    if len(chosen) > MAX_COLLECTIONS:
        raise InvalidArgument(field_errors={"collection_names": [TOO_MANY_COLLECTIONS]})
    reserved = [name for name in chosen if is_reserved(name)]
    if reserved:
        problem = (
            f"{', '.join(reserved)}: names that begin with {RESERVED_PREFIX} are reserved for the "
            "console. Leave them out."
        )
        raise InvalidArgument(field_errors={"collection_names": [problem]})
    return chosen


@transaction.atomic
def verify_backup(
    backup: Backup, *, by: str, retry_of: str = "", limited: bool = True
) -> BackupJob:
    """Enqueue a job that compares every byte of the archive with its manifest."""
    backup = lock_backup(backup)
    require_available(backup)
    return enqueue_job_about(JobKind.VERIFY, backup, by=by, retry_of=retry_of, limited=limited)


def read_archive(backup: Backup) -> ArchiveReader:
    """Open the archive for a request. Raises ArchiveDamaged if the manifest is damaged, after the
    damage was recorded. Call this outside of transactions that the error rolls back.
    """
    try:
        return open_archive(backup)
    except ArchiveDamaged as damage:
        require_store()
        _record_damage(backup, Finding(printable(damage.file), damage.problem))
        raise


@transaction.atomic
def _record_damage(backup: Backup, finding: Finding) -> None:
    """Add a finding to those of jobs. The damage of a backup that is being deleted is not
    recorded.
    """
    backup = lock_backup(backup)
    known = backup.findings
    if backup.status == BackupStatus.AVAILABLE and finding not in known:
        by = backup.damage_found_by or FOUND_BY_READING
        Backup.objects.filter(pk=backup.pk).mark_damaged(by=by, findings=[*known, finding])
        observers.backup_damaged(backup)
        changed(backup.organization_id)


@transaction.atomic
def delete_backup(backup: Backup, *, by: str, limited: bool = True) -> BackupJob:
    """Enqueue the deletion of a backup, which cannot be restored any more from now on.

    `limited` is False for deletions by retention or with the cluster.
    """
    backup = lock_backup(backup)
    refuse_while_used(backup)
    if backup.pinned:
        raise FailedPrecondition(f"{backup.name} is pinned. To delete it, unpin it first.")
    backup.status = BackupStatus.DELETING
    backup.save(update_fields=["status"])
    observers.backup_deleting(backup)
    return enqueue_job_about(JobKind.DELETE, backup, by=by, limited=limited)


@transaction.atomic
def retry_deletion(backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    """Enqueue another job for a deletion whose job has failed. No limit applies, because the
    deletion was accepted before.
    """
    backup = lock_backup(backup)
    if backup.status != BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is already deleted.")
    return enqueue_job_about(JobKind.DELETE, backup, by=by, retry_of=retry_of, limited=False)


@transaction.atomic
def set_pinned(backup: Backup, *, pinned: bool) -> Backup:
    """Pin or unpin a backup. Retention and users cannot delete a pinned backup."""
    backup = lock_backup(backup)
    require_available(backup)
    note({"pinned": backup.pinned}, {"pinned": pinned})
    backup.pinned = pinned
    backup.save(update_fields=["pinned"])
    if not pinned:
        observers.backup_unpinned(backup)
    return backup
