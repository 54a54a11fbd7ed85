"""Job RESTORE: fill collections under hidden names, compare and index them, then swap the names.

The restore can be undone until all collections have their names. From then on it only finishes.
"""

from __future__ import annotations

from django.conf import settings

from backups.archive.damage import ArchiveDamaged
from backups.archive.reader import ArchiveReader
from backups.capture.job import clean_up
from backups.capture.rate_limit import rate_limit_of
from backups.connections import connect, free_bytes_of, open_archive
from backups.milvus.client import Client
from backups.models import BackupJob
from backups.restore import database
from backups.restore.access_control import restore_access_control
from backups.restore.checkpoint import (
    PLANNED_GROUPS,
    PLANNED_ROLES,
    RestoreCheckpoint,
    plan_json,
    swaps_of,
)
from backups.restore.inserting import CollectionRestore, RestoreContext
from backups.restore.preflight import (
    Preflight,
    RestoreOptions,
    inspect_target,
    preflight,
    renamed_collections,
)
from backups.restore.progress import COMPARING, INSERTING, RestoreProgress
from backups.restore.swap import Swap
from backups.states import OnConflict
from backups.stores.base import StoreError
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task

ANY_DATABASE = "default"
SWAPPING = 96


def restore(attempt: Attempt, job: BackupJob) -> None:
    """Restore the collections of `job.backup`, each complete and compared, or change nothing."""
    if not RestoreCheckpoint(attempt.task.checkpoint).swapped:
        attempt.safe_point()  # the server of a cancelled restore may not answer
        reader = open_archive(job.backup)
        _plan(attempt, job, reader)
        connections = settings.BACKUP_CONNECTIONS
        with connect(job.cluster, job.db_name, attempt.name, connections=connections) as client:
            _fill(attempt, job, reader, client)
            _repeat_preflight(attempt, job, reader)
            _swap(attempt, reader, client)
    with connect(job.cluster, job.db_name, attempt.name) as client:
        if job.db_name in client.databases():  # the tenant may have dropped it after the swap
            for swap in _swaps(attempt):
                swap.finish(client, attempt.guard)
            database.complete(attempt, client, job.db_name)
        _restore_access_control(attempt, job, client)
    clean_up(job)


def undo(attempt: Attempt, job: BackupJob) -> None:
    """Restore the rows, names, aliases and load states of the target, in reverse order."""
    checkpoint = RestoreCheckpoint(attempt.task.checkpoint)
    if checkpoint.steps:
        with connect(job.cluster, job.db_name, attempt.name) as client:
            if job.db_name in client.databases():
                for swap in reversed(_swaps(attempt)):
                    _undo_swap(attempt, checkpoint, swap, client)
                database.drop_if_created(attempt, client, job.db_name)
    clean_up(job)


def must_finish(task: Task) -> bool:
    """Return True once all collections have their names, because the old ones may be dropped."""
    return RestoreCheckpoint(task.checkpoint).swapped


def options_of(job: BackupJob) -> RestoreOptions:
    return RestoreOptions(
        db_name=job.db_name,
        collection_names=job.collection_names,
        on_conflict=OnConflict(job.options.get("on_conflict", OnConflict.FAIL)),
        suffix=job.options.get("suffix", ""),
        restore_access_control=job.options.get("restore_access_control", False),
    )


# -- plan -----------------------------------------------------------------------------------------


def _plan(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> None:
    """Store the plan once, so that later attempts use the same names. Create the database."""
    if not RestoreCheckpoint(attempt.task.checkpoint).steps:
        attempt.report(1, "reading", "Comparing the backup with the target.")
        result = _run_preflight(job, reader, free_bytes_of(job.cluster))
        with attempt.fenced():  # a crash between the two must not lose the warnings
            attempt.save_checkpoint(**plan_json(result))
            for text in result.warnings:
                attempt.warn(text)
    with connect(job.cluster, ANY_DATABASE, attempt.name) as client:
        properties = reader.manifest.capture.database_properties or {}
        database.create_if_missing(attempt, client, job.db_name, properties)


def _run_preflight(job: BackupJob, reader: ArchiveReader, free_bytes: int | None) -> Preflight:
    with connect(job.cluster, job.db_name) as client:
        target = inspect_target(client, options_of(job))
        result = preflight(
            reader.manifest,
            options_of(job),
            target,
            client.server(),
            free_bytes,
            job.backup.findings,
        )
    if not result.is_clear:
        raise JobFailed(" ".join((*result.conflicts, *result.refusals)), permanent=True)
    return result


def _repeat_preflight(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> None:
    """Update the aliases before the swap, and fail if names have changed while rows were inserted.
    Disk space is not checked again, because the inserted rows already use it.
    """
    checkpoint = RestoreCheckpoint(attempt.task.checkpoint)
    if checkpoint.begun:
        return
    result = _run_preflight(job, reader, None)
    if [step.target for step in result.steps] != [step.target for step in checkpoint.steps]:
        raise JobFailed(
            "Names in the target changed during the restore. Start the restore again.",
            permanent=True,
        )
    attempt.save_checkpoint(plan=plan_json(result)["plan"])


# -- fill and swap --------------------------------------------------------------------------------


def _fill(attempt: Attempt, job: BackupJob, reader: ArchiveReader, client: Client) -> None:
    swaps, checkpoint = _swaps(attempt), RestoreCheckpoint(attempt.task.checkpoint)
    contents = [reader.manifest.collection(swap.step.source) for swap in swaps]
    progress = RestoreProgress(attempt, contents)
    context = RestoreContext(
        attempt=attempt,
        job=job,
        client=client,
        reader=reader,
        progress=progress,
        limit=rate_limit_of(attempt),
    )
    for swap, content in zip(swaps, contents, strict=True):
        if swap.step.source in checkpoint.filled:
            progress.passed(swap.step.source, INSERTING, COMPARING)
            continue
        collection = CollectionRestore(context, content, swap.hidden)
        collection.insert()
        if collection.compare():
            _record(attempt, "identical", swap)
        _record(attempt, "filled", swap)
    for swap, content in zip(swaps, contents, strict=True):
        if swap.step.source not in checkpoint.begun:
            CollectionRestore(context, content, swap.hidden).index()


def _swap(attempt: Attempt, reader: ArchiveReader, client: Client) -> None:
    attempt.report(SWAPPING, "swapping", "Renaming the restored collections.")
    for swap in _swaps(attempt):
        attempt.safe_point_now()
        _record(attempt, "begun", swap)
        load = reader.manifest.collection(swap.step.source).description.load
        swap.forward(client, attempt.guard, load)
    attempt.save_checkpoint(swapped=True)


def _restore_access_control(attempt: Attempt, job: BackupJob, client: Client) -> None:
    """Restore the planned roles, or warn if the archive has become unreadable: the collections are
    restored, so the job must be able to end.
    """
    checkpoint = attempt.task.checkpoint
    if not checkpoint.get(PLANNED_ROLES) and not checkpoint.get(PLANNED_GROUPS):
        return
    try:
        manifest = open_archive(job.backup).manifest
    except (ArchiveDamaged, StoreError) as error:
        attempt.warn(f"Users and roles were not restored: {error}")
        return
    steps = RestoreCheckpoint(checkpoint).steps
    if manifest.access_control is not None:
        renamed = renamed_collections(manifest, job.db_name, steps)
        restore_access_control(attempt, client, manifest.access_control, renamed)


def _swaps(attempt: Attempt) -> list[Swap]:
    return swaps_of(attempt.task.task_id, RestoreCheckpoint(attempt.task.checkpoint).steps)


def _undo_swap(attempt: Attempt, checkpoint: RestoreCheckpoint, swap: Swap, client: Client) -> None:
    name = swap.step.source
    if name in checkpoint.begun and name not in checkpoint.unnamed:
        swap.undo_rename(client, attempt.guard)
    _record(attempt, "unnamed", swap)
    swap.restore_old_name(client, attempt.guard, attempt.warn)


def _record(attempt: Attempt, list_name: str, swap: Swap) -> None:
    recorded = attempt.task.checkpoint.get(list_name, [])
    if swap.step.source not in recorded:
        attempt.save_checkpoint(**{list_name: [*recorded, swap.step.source]})
