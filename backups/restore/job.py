"""An archive into collections: filled under hidden names, compared, indexed, then swapped in.

Until all have their names every attempt can walk back; from then on there is only the end.
"""

from __future__ import annotations

from backups.archive.reader import ArchiveReader
from backups.capture.job import tidy
from backups.connections import connect, free_bytes_of, open_archive
from backups.milvus.client import Client
from backups.models import BackupJob
from backups.restore import database
from backups.restore.checkpoint import RestoreCheckpoint, planned, swaps_of
from backups.restore.inserting import CollectionRestore, RestoreContext
from backups.restore.preflight import Preflight, RestoreOptions, inspect_target, preflight
from backups.restore.progress import COMPARING, INSERTING, RestoreProgress
from backups.restore.swap import Swap
from backups.states import OnConflict
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task

ANY_DATABASE = "default"
SWAPPING = 96


def restore(attempt: Attempt, job: BackupJob) -> None:
    """Bring the collections of `job.backup` back, each whole and compared, or change nothing."""
    if not RestoreCheckpoint(attempt.task.checkpoint).swapped:
        _bring_back(attempt, job)
    with connect(job.cluster, job.db_name, attempt.name) as client:
        if job.db_name in client.databases():  # it is its tenant's, who may have dropped it
            _finish(attempt, job, client)
    tidy(job)


def _bring_back(attempt: Attempt, job: BackupJob) -> None:
    reader = open_archive(job.backup)
    _plan(attempt, job, reader)
    with connect(job.cluster, job.db_name, attempt.name) as client:
        _fill(attempt, job, reader, client)
        _look_again(attempt, job, reader)
        _swap(attempt, reader, client)


def _finish(attempt: Attempt, job: BackupJob, client: Client) -> None:
    """Needs the archive no more, whatever became of it."""
    for swap in _swaps(attempt):
        swap.finish(client, attempt.guard)
    database.hand_over(attempt, client, job.db_name)


def undo(attempt: Attempt, job: BackupJob) -> None:
    """Leave the target as it was: same rows, names, aliases and load state, nothing of ours."""
    journal = RestoreCheckpoint(attempt.task.checkpoint)
    if journal.steps:
        with connect(job.cluster, job.db_name, attempt.name) as client:
            if job.db_name in client.databases():
                _walk_back(attempt, job, client)
    tidy(job)


def must_finish(task: Task) -> bool:
    """All have their names; the old ones may be gone."""
    return RestoreCheckpoint(task.checkpoint).swapped


def wish_of(job: BackupJob) -> RestoreOptions:
    return RestoreOptions(
        db_name=job.db_name,
        collection_names=job.collection_names,
        on_conflict=OnConflict(job.options.get("on_conflict", OnConflict.FAIL)),
        suffix=job.options.get("suffix", ""),
    )


# -- plan -----------------------------------------------------------------------------------------


def _plan(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> None:
    """Made by the first attempt and kept: later ones must find the same names."""
    if not RestoreCheckpoint(attempt.task.checkpoint).steps:
        attempt.report(1, "reading", "Comparing the backup with what is there.")
        found = _look(job, reader, free_bytes_of(job.cluster))
        with attempt.fenced():  # who dies between the two would lose the warnings for ever
            attempt.save_checkpoint(**planned(found))
            for text in found.warnings:
                attempt.warn(text)
    with connect(job.cluster, ANY_DATABASE, attempt.name) as client:
        properties = reader.manifest.capture.database_properties or {}
        database.make(attempt, client, job.db_name, properties)


def _look(job: BackupJob, reader: ArchiveReader, free_bytes: int | None) -> Preflight:
    with connect(job.cluster, job.db_name) as client:
        target = inspect_target(client, job.db_name)
        found = preflight(
            reader.manifest,
            wish_of(job),
            target,
            client.server(),
            free_bytes,
            job.backup.findings,
        )
    if not found.is_clear:
        raise JobFailed(" ".join((*found.conflicts, *found.refusals)), permanent=True)
    return found


def _look_again(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> None:
    """Filling took its time: names and aliases are what they are now, or nothing is changed. The
    room that was looked for is taken by now.
    """
    journal = RestoreCheckpoint(attempt.task.checkpoint)
    if journal.begun:
        return
    found = _look(job, reader, None)
    if [step.target for step in found.steps] != [step.target for step in journal.steps]:
        raise JobFailed("Names in the target changed meanwhile; ask again.", permanent=True)
    attempt.save_checkpoint(plan=planned(found)["plan"])


# -- fill and swap --------------------------------------------------------------------------------


def _fill(attempt: Attempt, job: BackupJob, reader: ArchiveReader, client: Client) -> None:
    swaps, journal = _swaps(attempt), RestoreCheckpoint(attempt.task.checkpoint)
    contents = [reader.manifest.collection(swap.step.source) for swap in swaps]
    progress = RestoreProgress(attempt, contents)
    work = RestoreContext(attempt=attempt, job=job, client=client, reader=reader, progress=progress)
    for swap, content in zip(swaps, contents, strict=True):
        if swap.step.source in journal.filled:
            progress.passed(swap.step.source, INSERTING, COMPARING)
            continue
        filling = CollectionRestore(work, content, swap.hidden)
        filling.insert()
        filling.compare()
        _note(attempt, "filled", swap)
    for swap, content in zip(swaps, contents, strict=True):
        if swap.step.source not in journal.begun:
            CollectionRestore(work, content, swap.hidden).index()


def _swap(attempt: Attempt, reader: ArchiveReader, client: Client) -> None:
    attempt.report(SWAPPING, "swapping", "Giving the collections their names.")
    for swap in _swaps(attempt):
        attempt.safe_point_now()
        _note(attempt, "begun", swap)
        load = reader.manifest.collection(swap.step.source).description.load
        swap.forward(client, attempt.guard, load)
    attempt.save_checkpoint(swapped=True)


def _swaps(attempt: Attempt) -> list[Swap]:
    return swaps_of(attempt.task.task_id, RestoreCheckpoint(attempt.task.checkpoint).steps)


def _note(attempt: Attempt, list_name: str, swap: Swap) -> None:
    noted = attempt.task.checkpoint.get(list_name, [])
    if swap.step.source not in noted:
        attempt.save_checkpoint(**{list_name: [*noted, swap.step.source]})


# -- back -----------------------------------------------------------------------------------------


def _walk_back(attempt: Attempt, job: BackupJob, client: Client) -> None:
    """In the reverse order of the swaps; a database that was made for this restore goes last."""
    journal = RestoreCheckpoint(attempt.task.checkpoint)
    for swap in reversed(_swaps(attempt)):
        if swap.step.source in journal.begun and swap.step.source not in journal.unnamed:
            swap.undo_rename(client, attempt.guard)
        _note(attempt, "unnamed", swap)
        swap.restore_old_name(client, attempt.guard, attempt.warn)
    database.take_back(attempt, client, job.db_name)
