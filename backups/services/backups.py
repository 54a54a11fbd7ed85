"""Request, verify, pin and delete backups.

Each function takes the cluster's or the backup's row first; each one that takes time
leaves a job and answers at once.
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
from backups.discovery import asked, require_collections, require_possible
from backups.models import FOUND_BY_READING, NAME, Backup, BackupJob
from backups.names import MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.services.enqueue import enqueue_job, enqueue_job_about
from backups.services.locks import hold_backup, refuse_while_used, require_available
from backups.states import BackupStatus, JobKind
from clusters.admission import require_running
from clusters.milvus_names import RESERVED_PREFIX, is_reserved
from clusters.models import Cluster
from vbase_console.core.errors import AlreadyExists, FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from backups.archive.reader import ArchiveReader


DEFAULT_DATABASE = "default"
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """A backup that may be asked for: its words are understood, its cluster has been asked."""

    backup: Backup
    collection_names: list[str]


def take_backup(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str = "",
    backup_name: str = "",
    by: str,
    policy_id: str = "",
) -> BackupJob:
    """Ask for a backup of these collections as they are at one instant soon after now.

    Whoever is in a transaction calls `prepare_backup` before it begins and `accept_backup` in it:
    nobody waits for a lock while a server answers.
    """
    request = prepare_backup(
        cluster,
        collection_names=collection_names,
        db_name=db_name,
        backup_name=backup_name,
        policy_id=policy_id,
    )
    return accept_backup(request, by=by)


def prepare_backup(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str = "",
    backup_name: str = "",
    policy_id: str = "",
) -> BackupRequest:
    """Changes nothing. A running cluster is asked whether it has the collections; of one that an
    accepted task keeps from answering the job finds out.
    """
    request = _backup_request(
        cluster,
        collection_names=collection_names,
        db_name=db_name,
        backup_name=backup_name,
        policy_id=policy_id,
    )
    require_running(cluster, JobKind.BACKUP)
    wanted = (cluster, request.backup.db_name, request.collection_names)
    asked(cluster, JobKind.BACKUP, lambda: require_collections(*wanted))
    return request


@transaction.atomic(savepoint=False)
def accept_backup(
    request: BackupRequest,
    *,
    by: str,
    retry_of: str = "",
    held: Cluster | None = None,
    options: dict[str, str] | None = None,
    limited: bool = True,
) -> BackupJob:
    """`held`: the cluster's row, where the caller's transaction has read and locked it. `limited`
    is False if the caller has checked the limits of unfinished tasks.
    """
    cluster = held or Cluster.objects.locked(request.backup.cluster_id)
    require_running(cluster, JobKind.BACKUP)
    _insert(request.backup)
    return enqueue_job(
        JobKind.BACKUP,
        backup=request.backup,
        cluster=cluster,
        lock=cluster.lock,
        db_name=request.backup.db_name,
        collection_names=request.collection_names,
        options=options,
        by=by,
        retry_of=retry_of,
        limited=limited,
    )


def _backup_request(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str,
    backup_name: str,
    policy_id: str,
) -> BackupRequest:
    database, chosen = db_name or DEFAULT_DATABASE, _chosen_collections(collection_names)
    require_possible(database, chosen)
    backup = Backup(
        organization_id=cluster.organization_id,
        cluster=cluster,
        name=_checked_name(backup_name) if backup_name else default_name(database),
        db_name=database,
        policy_id=policy_id,
    )
    return BackupRequest(backup=backup, collection_names=chosen)


def default_name(database: str) -> str:
    """`<db>-<UTC time>-<6 hex>`: of the database's name what a backup's can hold, and no more than
    there is room for.
    """
    moment = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    of = NOT_IN_A_NAME.sub("_", database).lstrip("_.-")[:100] or "backup"
    return f"{of}-{moment}-{secrets.token_hex(3)}"


def _chosen_collections(names: Sequence[str]) -> list[str]:
    chosen = list(dict.fromkeys(name for name in names if name))
    if not chosen:
        raise InvalidArgument(field_errors={"collection_names": ["Name at least one collection."]})
    if len(chosen) > MAX_COLLECTIONS:
        raise InvalidArgument(field_errors={"collection_names": [TOO_MANY_COLLECTIONS]})
    reserved = [name for name in chosen if is_reserved(name)]
    if reserved:
        text = (
            f"{', '.join(reserved)}: names that begin with {RESERVED_PREFIX} are the console's own."
        )
        raise InvalidArgument(field_errors={"collection_names": [text]})
    return chosen


def _checked_name(name: str) -> str:
    try:
        NAME(name)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"backup_name": error.messages}) from error
    return name


def _insert(backup: Backup) -> None:
    try:
        with transaction.atomic():
            backup.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyExists(
            f"A backup named '{backup.name}' exists in this organization; choose another name."
        ) from error


@transaction.atomic
def verify_backup(
    backup: Backup, *, by: str, retry_of: str = "", limited: bool = True
) -> BackupJob:
    """Ask whether every byte of the archive is what it was when it was sealed."""
    backup = hold_backup(backup)
    require_available(backup)
    return enqueue_job_about(JobKind.VERIFY, backup, by=by, retry_of=retry_of, limited=limited)


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
        by = backup.damage_found_by or FOUND_BY_READING
        Backup.objects.filter(pk=backup.pk).mark_damaged(by=by, findings=[*known, finding])
        observers.backup_damaged(backup)


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
    observers.backup_deleting(backup)
    return enqueue_job_about(JobKind.DELETE, backup, by=by, limited=limited)


@transaction.atomic
def delete_again(backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    """For a deletion whose job is dead: another one goes on with it. No limit refuses it, because
    the backup was accepted for deletion before.
    """
    backup = hold_backup(backup)
    if backup.status != BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is deleted already.")
    return enqueue_job_about(JobKind.DELETE, backup, by=by, retry_of=retry_of, limited=False)


@transaction.atomic
def set_pinned(backup: Backup, *, pinned: bool) -> Backup:
    """A pinned backup is deleted by nobody: no policy, no person."""
    backup = hold_backup(backup)
    require_available(backup)
    backup.pinned = pinned
    backup.save(update_fields=["pinned"])
    if not pinned:
        observers.backup_unpinned(backup)
    return backup
