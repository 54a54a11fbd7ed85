"""Asking for a backup."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from backups.looking import asked, require_collections, require_possible
from backups.models import NAME, Backup, BackupJob
from backups.names import MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.services.admission import hold_cluster
from backups.services.asking import ask
from backups.states import JobKind
from clusters.admission import require_running
from clusters.milvus_names import RESERVED_PREFIX, is_reserved
from clusters.models import Cluster
from vbase_console.errors import AlreadyExists, InvalidArgument

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
    cluster = held or hold_cluster(request.backup.cluster)
    require_running(cluster, JobKind.BACKUP)
    _insert(request.backup)
    return ask(
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
        raise InvalidArgument(field_errors={"collectionNames": ["Name at least one collection."]})
    if len(chosen) > MAX_COLLECTIONS:
        raise InvalidArgument(field_errors={"collectionNames": [TOO_MANY_COLLECTIONS]})
    reserved = [name for name in chosen if is_reserved(name)]
    if reserved:
        text = (
            f"{', '.join(reserved)}: names that begin with {RESERVED_PREFIX} are the console's own."
        )
        raise InvalidArgument(field_errors={"collectionNames": [text]})
    return chosen


def _checked_name(name: str) -> str:
    try:
        NAME(name)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"backupName": error.messages}) from error
    return name


def _insert(backup: Backup) -> None:
    try:
        with transaction.atomic():
            backup.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyExists(
            f"A backup named '{backup.name}' exists in this organization; choose another name."
        ) from error
