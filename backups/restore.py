"""An archive into collections: filled under hidden names, compared, indexed, then swapped in.

Until the old collections are dropped every attempt, or the end of the last one, can walk back.
"""

from __future__ import annotations

from backups.archive.reader import ArchiveReader
from backups.capture import tidy
from backups.filling import Filling, Share
from backups.hands import connected, get_store
from backups.journal import Journal, planned, swaps_of
from backups.milvus.client import Client
from backups.models import BackupJob
from backups.preflight import Preflight, Wish, look, preflight
from backups.states import OnConflict
from backups.swap import Swap
from clusters.drivers.base import Guard
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

ANY_DATABASE = "default"
SWAPPING = 96


def restore(attempt: Attempt, job: BackupJob) -> None:
    """Bring the collections of `job.backup` back, each whole and compared, or change nothing."""
    reader = ArchiveReader(get_store(), job.backup.directory)
    _plan(attempt, job, reader)
    with connected(job.cluster, job.db_name) as client:
        if not Journal(attempt.task.checkpoint).swapped:
            _fill(attempt, job, reader, client)
            _swap(attempt, reader, client)
        _finish(_swaps(attempt), client, attempt.guard)
    tidy(job)


def undo(job: BackupJob, guard: Guard) -> None:
    """Leave the target as it was: same rows, names, aliases and load state, nothing of ours."""
    journal = Journal(job.task.checkpoint)
    if journal.steps:
        with connected(job.cluster, job.db_name) as client:
            if job.db_name in client.databases():
                _walk_back(job, journal, client, guard)
    tidy(job)


def wish_of(job: BackupJob) -> Wish:
    return Wish(
        db_name=job.db_name,
        collection_names=job.collection_names,
        on_conflict=OnConflict(job.options.get("on_conflict", OnConflict.FAIL)),
        suffix=job.options.get("suffix", ""),
    )


# -- plan -----------------------------------------------------------------------------------------


def _plan(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> None:
    """Made by the first attempt and kept: later ones must find the same names."""
    if not Journal(attempt.task.checkpoint).steps:
        attempt.report(1, "reading", "Comparing the backup with what is there.")
        found = _look(job, reader)
        attempt.remember(**planned(found))
        for text in found.warnings:
            attempt.warn(text)
    if Journal(attempt.task.checkpoint).created_database:
        _make_database(attempt, job)


def _look(job: BackupJob, reader: ArchiveReader) -> Preflight:
    with connected(job.cluster, job.db_name) as client:
        target = look(client, job.db_name)
        found = preflight(reader.manifest, wish_of(job), target, client.server())
    if not found.is_clear:
        raise JobFailed(" ".join((*found.conflicts, *found.refusals)), permanent=True)
    return found


def _make_database(attempt: Attempt, job: BackupJob) -> None:
    with connected(job.cluster, ANY_DATABASE) as client:
        if job.db_name not in client.databases():
            attempt.guard()
            client.create_database(job.db_name)


# -- fill and swap --------------------------------------------------------------------------------


def _fill(attempt: Attempt, job: BackupJob, reader: ArchiveReader, client: Client) -> None:
    swaps = _swaps(attempt)
    inserted, indexed = (Share(sum(swap.step.rows for swap in swaps)) for _ in range(2))
    for swap in swaps:
        content = reader.manifest.collection(swap.step.source)
        filling = Filling(attempt, job, client, content, swap.hidden)
        if swap.step.source in Journal(attempt.task.checkpoint).filled:
            inserted.done += swap.step.rows
            continue
        filling.insert(reader, inserted)
        filling.compare(inserted)
        _note(attempt, "filled", swap)
    for swap in swaps:
        if swap.step.source not in Journal(attempt.task.checkpoint).begun:
            content = reader.manifest.collection(swap.step.source)
            Filling(attempt, job, client, content, swap.hidden).index(indexed)
        indexed.done += swap.step.rows


def _swap(attempt: Attempt, reader: ArchiveReader, client: Client) -> None:
    attempt.report(SWAPPING, "swapping", "Giving the collections their names.")
    for swap in _swaps(attempt):
        attempt.safe_point()
        _note(attempt, "begun", swap)
        load = reader.manifest.collection(swap.step.source).description.load
        swap.forward(client, attempt.guard, load)
    attempt.remember(swapped=True)


def _finish(swaps: list[Swap], client: Client, guard: Guard) -> None:
    for swap in swaps:
        swap.finish(client, guard)


def _swaps(attempt: Attempt) -> list[Swap]:
    return swaps_of(attempt.task.task_id, Journal(attempt.task.checkpoint).steps)


def _note(attempt: Attempt, list_name: str, swap: Swap) -> None:
    noted = attempt.task.checkpoint.get(list_name, [])
    if swap.step.source not in noted:
        attempt.remember(**{list_name: [*noted, swap.step.source]})


# -- back -----------------------------------------------------------------------------------------


def _walk_back(job: BackupJob, journal: Journal, client: Client, guard: Guard) -> None:
    """In the reverse order of the swaps; a database that was made for this restore goes last."""
    swaps = swaps_of(job.task.task_id, journal.steps)
    if journal.swapped:
        _finish(swaps, client, guard)
        return
    for swap in reversed(swaps):
        swap.undo(client, guard, began=swap.step.source in journal.begun)
    if journal.created_database and not client.collections():
        guard()
        client.drop_database(job.db_name)
