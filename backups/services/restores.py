"""Services of restores: preview, plan and request one."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, TypedDict, Unpack

from django.db import transaction
from django.db.models import Q

from backups.connections import connect, free_bytes_of
from backups.discovery import collection_names_of, query_cluster, translate_errors
from backups.models import FILLS_NEW_CLUSTER, Backup, BackupJob
from backups.restore.preflight import Preflight, RestoreOptions, inspect_target, preflight
from backups.services.backups import read_archive
from backups.services.enqueue import enqueue_job
from backups.services.locks import lock_backup, require_available
from backups.states import JobKind, OnConflict
from clusters.admission import require_running, unfinished
from clusters.milvus_names import Kind, refusal_of_any_server
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import (
    AlreadyExists,
    ConsoleError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from vbase_console.tasks.models import Task, TaskQuerySet
from vbase_console.tasks.states import TaskState

if TYPE_CHECKING:
    from backups.archive.manifest import Manifest

CONFLICT_REMEDY = "Choose RENAME or REPLACE for existing collections, or choose another database."
USUAL_SUFFIX = "_restored"
SUFFIX = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


class RestoreFields(TypedDict, total=False):
    """Fields of a requested restore, with the defaults of `restore_options`."""

    db_name: str
    collection_names: Sequence[str]
    on_conflict: str
    suffix: str
    restore_access_control: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """A checked request for a restore. Nothing is stored before `submit`."""

    backup: Backup
    target: Cluster
    options: RestoreOptions

    @transaction.atomic
    def submit(self, *, by: str, retry_of: str = "") -> BackupJob:
        cluster = Cluster.objects.locked(self.target.pk)
        require_running(cluster, JobKind.RESTORE)
        backup = lock_backup(self.backup)
        require_available(backup)
        return enqueue_restore(backup, cluster, self.options, by=by, retry_of=retry_of)


def enqueue_restore(
    backup: Backup,
    cluster: Cluster,
    options: RestoreOptions,
    *,
    by: str,
    retry_of: str = "",
    fills_new_cluster: bool = False,
) -> BackupJob:
    """Enqueue a checked restore. The caller has locked the rows of cluster and backup."""
    stored: dict[str, str | bool] = {
        "on_conflict": options.on_conflict,
        "suffix": options.suffix,
        "restore_access_control": options.restore_access_control,
    }
    return enqueue_job(
        JobKind.RESTORE,
        backup=backup,
        cluster=cluster,
        lock=cluster.lock,
        db_name=options.db_name,
        collection_names=list(options.collection_names),
        options=stored | ({FILLS_NEW_CLUSTER: True} if fills_new_cluster else {}),
        by=by,
        retry_of=retry_of,
    )


def plan_restore(
    backup: Backup, target: Cluster, **fields: Unpack[RestoreFields]
) -> RestoreRequest:
    """Check a restore of collections of `backup` into `target`. Changes nothing.

    A running target is queried, so call this outside of transactions. Raises AlreadyExists if a
    collection has a name that the restore needs.
    """
    require_available(backup)
    require_running(target, JobKind.RESTORE)
    options = restore_options(backup, **fields)
    result = _run_preflight(backup, target, options)
    if result is not None:
        raise_refusal(result)
    return RestoreRequest(backup=backup, target=target, options=options)


def preview_restore(backup: Backup, target: Cluster, **fields: Unpack[RestoreFields]) -> Preflight:
    """Report the effect of a restore, its conflicts and its refusals. Changes nothing."""
    require_available(backup)
    require_running(target, JobKind.RESTORE)
    options = restore_options(backup, **fields)
    result = _run_preflight(backup, target, options)
    if result is None:
        tasks = unfinished(target)
        change = f"{tasks[0].task_id} ({tasks[0].kind})" if tasks else "its change"
        raise Unavailable(
            f"{target.service_id} cannot be read now. Wait until {change} has finished."
        )
    return result


def free_suffix(backup: Backup, target: Cluster, db_name: str) -> str:
    """Return a suffix under which the collections of a backup have free names in a database.

    Returns the usual suffix if the target cannot be read now. The preflight checks the names again.
    """
    taken: set[str] = set()
    with contextlib.suppress(ConsoleError):
        require_running(target, JobKind.RESTORE)
        taken = set(collection_names_of(target, db_name))
    names = [collection["name"] for collection in backup.collections]
    suffixes = (f"{USUAL_SUFFIX}{number if number > 1 else ''}" for number in count(1))
    return next(
        suffix for suffix in suffixes if not any(f"{name}{suffix}" in taken for name in names)
    )


def tasks_before(target: Cluster) -> TaskQuerySet:
    """Return the tasks that a restore into `target` has to wait for, in queue order. A backup that
    is copying has released the lock.
    """
    served_first = Q(holds_lock=True) | Q(state=TaskState.PENDING)
    return Task.objects.filter(served_first, lock=target.lock).in_queue_order()


def raise_refusal(result: Preflight) -> None:
    """Raise AlreadyExists or FailedPrecondition unless the restore is possible."""
    if result.conflicts:
        raise AlreadyExists(" ".join([*result.conflicts, CONFLICT_REMEDY]))
    if result.refusals:
        raise FailedPrecondition(" ".join(result.refusals))


def manifest_for_restore(backup: Backup) -> Manifest:
    """Read the manifest. Raises FailedPrecondition if it is damaged."""
    _refuse_damaged(backup)
    with translate_errors():
        return read_archive(backup).manifest


def _refuse_damaged(backup: Backup) -> None:
    if not backup.can_be_read:
        raise FailedPrecondition(f"{backup.name} is damaged: {backup.damage_text}. Verify it.")


def _run_preflight(backup: Backup, target: Cluster, options: RestoreOptions) -> Preflight | None:
    """Returns None if an accepted task keeps the target from answering."""
    _refuse_damaged(backup)
    if target.condition != Condition.RUNNING:
        return None
    manifest = manifest_for_restore(backup)

    def inspect() -> Preflight:
        with translate_errors(), connect(target, options.db_name) as client:
            return preflight(
                manifest,
                options,
                inspect_target(client, options),
                client.server(),
                free_bytes_of(target),
                backup.findings,
            )

    return query_cluster(target, JobKind.RESTORE, inspect)


def restore_options(
    backup: Backup,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
    restore_access_control: bool = False,
) -> RestoreOptions:
    """Check the options of a restore and resolve aliases. Raises InvalidArgument or NotFound."""
    if on_conflict not in set(OnConflict):
        raise _invalid("on_conflict", f"Choose one of {', '.join(OnConflict)}.")
    if on_conflict == OnConflict.RENAME and not suffix:
        raise _invalid("suffix", "RENAME needs a suffix for the new names, such as _restored.")
    if suffix and on_conflict != OnConflict.RENAME:
        raise _invalid("suffix", f"A suffix requires RENAME. Leave it out for {on_conflict}.")
    if suffix and not SUFFIX.fullmatch(suffix):
        raise _invalid("suffix", "Use 1 to 64 letters, digits and underscores.")
    refusal = refusal_of_any_server(Kind.DATABASE, db_name) if db_name else ""
    if refusal and db_name != backup.db_name:
        raise _invalid("db_name", refusal)
    return RestoreOptions(
        db_name=db_name or backup.db_name,
        collection_names=_resolve_names(backup, collection_names),
        on_conflict=OnConflict(on_conflict),
        suffix=suffix,
        restore_access_control=restore_access_control,
    )


def _invalid(field: str, problem: str) -> InvalidArgument:
    return InvalidArgument(field_errors={field: [problem]})


def _resolve_names(backup: Backup, names: Sequence[str]) -> tuple[str, ...]:
    """Resolve collection names and aliases of the time of the backup to collection names. Raises
    NotFound if the backup does not contain one of them.
    """
    contained = {collection["name"]: collection["name"] for collection in backup.collections}
    by_name = contained | {
        alias: collection["name"]
        for collection in backup.collections
        for alias in collection.get("aliases", ())
        if alias not in contained
    }
    chosen = dict.fromkeys(name for name in names if name)
    if missing := [name for name in chosen if name not in by_name]:
        raise NotFound(
            f"{backup.name} does not contain collection {', '.join(missing)}. "
            f"Choose from {', '.join(contained)}."
        )
    return tuple(dict.fromkeys(by_name[name] for name in chosen))
