"""Asking for a backup to be brought back, and what that would do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q

from backups.connections import connect, free_bytes_of
from backups.discovery import asked, translate_errors
from backups.models import Backup, BackupJob
from backups.restore.preflight import Preflight, RestoreOptions, inspect_target, preflight
from backups.services.backups import read_archive
from backups.services.enqueue import enqueue_job
from backups.services.locks import hold_backup, require_available
from backups.states import JobKind, OnConflict
from clusters.admission import require_running, unfinished
from clusters.milvus_names import Kind, refusal_of_any_server
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from vbase_console.tasks.models import Task, TaskQuerySet
from vbase_console.tasks.states import TaskState

OTHERWISE = "Restore under other names, replace what is there, or choose another database."
SUFFIX = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """A restore that may be asked for; a target that runs has been looked at."""

    backup: Backup
    target: Cluster
    wish: RestoreOptions


def look_ahead(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
) -> Preflight:
    """What a restore would do now, and what stands in its way; changes nothing."""
    require_available(backup)
    require_running(target, JobKind.RESTORE)
    wish = wish_for(backup, db_name, collection_names, on_conflict, suffix)
    found = _look(backup, target, wish)
    if found is None:
        waiting = unfinished(target)
        change = f"{waiting[0].task_id} ({waiting[0].kind})" if waiting else "its change"
        raise Unavailable(f"{target.service_id} cannot be read now; wait for the end of {change}.")
    return found


def ahead_of_a_restore(target: Cluster) -> TaskQuerySet:
    """What runs on `target` or waits there, in turn order. A backup that only copies by now holds
    nobody up.
    """
    served_first = Q(holds_lock=True) | Q(state=TaskState.PENDING)
    return Task.objects.filter(served_first, lock=target.lock).in_queue_order()


def restore_backup(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
    by: str,
) -> BackupJob:
    """Ask for collections of a backup to be brought back into `target`.

    Whoever is in a transaction calls `prepare_restore` and `accept_restore`, as with a backup.
    """
    request = prepare_restore(
        backup,
        target,
        db_name=db_name,
        collection_names=collection_names,
        on_conflict=on_conflict,
        suffix=suffix,
    )
    return accept_restore(request, by=by)


def prepare_restore(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
) -> RestoreRequest:
    """Changes nothing. A running cluster is looked at: a name in the way is refused here and not
    in the job.
    """
    require_available(backup)
    require_running(target, JobKind.RESTORE)
    wish = wish_for(backup, db_name, collection_names, on_conflict, suffix)
    found = _look(backup, target, wish)
    if found and found.conflicts:
        raise AlreadyExists(" ".join([*found.conflicts, OTHERWISE]))
    if found and found.refusals:
        raise FailedPrecondition(" ".join(found.refusals))
    return RestoreRequest(backup=backup, target=target, wish=wish)


@transaction.atomic
def accept_restore(request: RestoreRequest, *, by: str, retry_of: str = "") -> BackupJob:
    cluster = Cluster.objects.locked(request.target.pk)
    require_running(cluster, JobKind.RESTORE)
    backup = hold_backup(request.backup)
    require_available(backup)
    wish = request.wish
    return enqueue_job(
        JobKind.RESTORE,
        backup=backup,
        cluster=cluster,
        lock=cluster.lock,
        db_name=wish.db_name,
        collection_names=list(wish.collection_names),
        options={"on_conflict": wish.on_conflict, "suffix": wish.suffix},
        by=by,
        retry_of=retry_of,
    )


def _look(backup: Backup, target: Cluster, wish: RestoreOptions) -> Preflight | None:
    """None where the target cannot be asked before an accepted task has ended."""
    if not backup.can_be_read:
        raise FailedPrecondition(f"The backup is damaged, verify it: {backup.damage_text}")
    if target.condition != Condition.RUNNING:
        return None
    with translate_errors():
        manifest = read_archive(backup).manifest

    def ahead() -> Preflight:
        with translate_errors(), connect(target, wish.db_name) as client:
            found = inspect_target(client, wish.db_name)
            return preflight(
                manifest, wish, found, client.server(), free_bytes_of(target), backup.findings
            )

    return asked(target, JobKind.RESTORE, ahead)


def wish_for(
    backup: Backup, db_name: str, names: Sequence[str], on_conflict: str, suffix: str
) -> RestoreOptions:
    if on_conflict not in set(OnConflict):
        there_is = ", ".join(OnConflict)
        raise InvalidArgument(field_errors={"on_conflict": [f"Give one of {there_is}."]})
    if on_conflict == OnConflict.RENAME and not suffix:
        text = "Say how the other names end, as in _restored: RENAME needs a suffix."
        raise InvalidArgument(field_errors={"suffix": [text]})
    if suffix and on_conflict != OnConflict.RENAME:
        text = f"Leave it out: {on_conflict} renames nothing. It belongs to RENAME."
        raise InvalidArgument(field_errors={"suffix": [text]})
    if suffix and not SUFFIX.fullmatch(suffix):
        text = "Use 1 to 64 letters, digits and underscores."
        raise InvalidArgument(field_errors={"suffix": [text]})
    unnamable = refusal_of_any_server(Kind.DATABASE, db_name) if db_name else ""
    if unnamable and db_name != backup.db_name:
        raise InvalidArgument(field_errors={"db_name": [unnamable]})
    return RestoreOptions(
        db_name=db_name or backup.db_name,
        collection_names=_held_by(backup, names),
        on_conflict=OnConflict(on_conflict),
        suffix=suffix,
    )


def _held_by(backup: Backup, names: Sequence[str]) -> tuple[str, ...]:
    """The collections that these names meant when the backup was made: each its own, or by an
    alias. Raises `NotFound` naming what the backup does not hold.
    """
    held = {collection["name"]: collection["name"] for collection in backup.collections}
    meant = held | {
        alias: collection["name"]
        for collection in backup.collections
        for alias in collection.get("aliases", ())
        if alias not in held
    }
    chosen = dict.fromkeys(name for name in names if name)
    if missing := [name for name in chosen if name not in meant]:
        raise NotFound(
            f"{backup.name} holds no collection {', '.join(missing)}, only {', '.join(held)}."
        )
    return tuple(dict.fromkeys(meant[name] for name in chosen))
