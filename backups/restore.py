"""An archive into collections: filled under hidden names, compared, indexed, then swapped in.

The journal is the task's checkpoint: the plan (made once), which collections are filled, and which
swaps have begun. Until the old collections are dropped every attempt, or its end, can walk back.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence

import pyarrow as pa

from backups.archive.checksum import RowChecksum
from backups.archive.manifest import CollectionContent
from backups.archive.reader import ArchiveReader
from backups.hands import connected, get_store, snapshots_of
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.milvus.insert import Inserter
from backups.milvus.losses import keeps_given_keys
from backups.milvus.scan import Scan
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from backups.preflight import Preflight, Step, Wish, look, preflight
from backups.states import OnConflict
from backups.swap import Swap
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

POLL_SECONDS = 0.2
INSERTING = (5, 70)
COMPARING = (70, 80)
INDEXING = (80, 95)
SWAPPING = 96


def restore(attempt: Attempt, job: BackupJob) -> None:
    """Bring the collections of `job.backup` back, each whole and compared, or change nothing."""
    reader = ArchiveReader(get_store(), job.backup.directory)
    steps = _plan(attempt, job, reader)
    with connected(job.cluster, job.db_name) as client:
        work = _Restoring(attempt, job, reader, client, steps)
        work.fill()
        work.index()
        work.swap()


def undo(attempt: Attempt, job: BackupJob) -> None:
    """Leave the target as it was: same rows, names, aliases and load state, nothing of ours."""
    steps = _planned(attempt)
    if not steps:
        return
    reader = ArchiveReader(get_store(), job.backup.directory)
    with connected(job.cluster, job.db_name) as client:
        if job.db_name in client.databases():
            _Restoring(attempt, job, reader, client, steps).undo()


def wish_of(job: BackupJob) -> Wish:
    return Wish(
        db_name=job.db_name,
        collection_names=job.collection_names,
        on_conflict=OnConflict(job.options.get("on_conflict", OnConflict.FAIL)),
        suffix=job.options.get("suffix", ""),
    )


# -- plan -----------------------------------------------------------------------------------------


def _plan(attempt: Attempt, job: BackupJob, reader: ArchiveReader) -> list[Step]:
    """Made by the first attempt and kept: later ones must find the same names."""
    steps = _planned(attempt)
    if steps:
        return steps
    attempt.report(1, "reading", "Comparing the backup with what is there.")
    with connected(job.cluster, "default") as client:
        found = _look_again(job, reader, client)
        made = [dataclasses.asdict(step) for step in found.steps]
        attempt.remember(plan=made, created_database=found.creates_database)
        for text in found.warnings:
            attempt.warn(text)
        if found.creates_database:
            attempt.guard()
            client.create_database(job.db_name)
    return list(found.steps)


def _look_again(job: BackupJob, reader: ArchiveReader, client: Client) -> Preflight:
    with connected(job.cluster, job.db_name) as inside:
        target = look(inside, job.db_name)
    found = preflight(reader.manifest, wish_of(job), target, client.server())
    if not found.is_clear:
        raise JobFailed(" ".join((*found.conflicts, *found.refusals)), permanent=True)
    return found


def _planned(attempt: Attempt) -> list[Step]:
    kept = attempt.task.checkpoint.get("plan", ())
    lists = ("aliases", "aliases_before")
    return [Step(**{**step, **{name: tuple(step[name]) for name in lists}}) for step in kept]


# -- the work -------------------------------------------------------------------------------------


class _Restoring:
    """One restore's collections on their way; every method may be called again from any point."""

    def __init__(
        self,
        attempt: Attempt,
        job: BackupJob,
        reader: ArchiveReader,
        client: Client,
        steps: Sequence[Step],
    ) -> None:
        self.attempt, self.job, self.reader, self.client = attempt, job, reader, client
        self.contents = [reader.manifest.collection(step.source) for step in steps]
        mark = attempt.task.task_id.replace("-", "_")
        self.swaps = [
            Swap(
                step=step,
                hidden=f"_vbase_restore_{mark}_{number}",
                old=f"_vbase_old_{mark}_{number}",
                load=content.description.load,
            )
            for number, (step, content) in enumerate(zip(steps, self.contents, strict=True))
        ]
        self.rows_total = max(1, sum(step.rows for step in steps))
        self.rows_done = 0

    # fill

    def fill(self) -> None:
        for swap, content in zip(self.swaps, self.contents, strict=True):
            if swap.step.source in self._noted("filled"):
                self.rows_done += content.rows
                continue
            self._insert(swap, content)
            self._compare(swap, content)
            self._note("filled", swap.step.source)

    def _insert(self, swap: Swap, content: CollectionContent) -> None:
        """What an attempt left half filled is worth nothing."""
        self.attempt.guard()
        self.client.drop(swap.hidden)
        create.create(self.client, content.description, swap.hidden)
        inserter = Inserter(self.client, content.description, swap.hidden)
        for partition in content.description.partitions:
            for part in content.parts_of(partition):
                self._report(INSERTING, "reading", f"Verifying {part.name}.")
                for batch in self.reader.batches(part):
                    self.attempt.guard()
                    inserter.add(batch, partition)
                    self.rows_done += batch.num_rows
                    self._report(INSERTING, "inserting", self._counted(swap))
        inserter.finish()
        self.client.flush([swap.hidden])

    def _counted(self, swap: Swap) -> str:
        return f"Inserted {self.rows_done} of {self.rows_total} rows; {swap.step.target}."

    def _report(self, span: tuple[int, int], phase: str, message: str) -> None:
        begin, end = span
        percent = begin + (end - begin) * self.rows_done // self.rows_total
        self.attempt.report(percent, phase, message)

    # compare

    def _compare(self, swap: Swap, content: CollectionContent) -> None:
        """Counted by the server, and every row read back and summed up as in the backup."""
        self._report(COMPARING, "comparing", f"Reading {swap.step.target} back.")
        counted = self._count(swap, content)
        if counted != content.rows:
            raise JobFailed(
                f"{swap.step.target} has {counted} rows after inserting, not {content.rows}.",
                permanent=False,
            )
        if not keeps_given_keys(self.client.server()) and content.description.primary_key.auto_id:
            return  # its keys are generated anew, so its rows cannot be the same; a warning says so
        checksum = RowChecksum()
        for batch in self._read_back(swap, content):
            checksum.update(batch)
            self._report(COMPARING, "comparing", f"Reading {swap.step.target} back.")
        if checksum.digest() != content.row_checksum:
            raise JobFailed(
                f"The rows of {swap.step.target} differ from the backup's after inserting.",
                permanent=True,
            )

    def _count(self, swap: Swap, content: CollectionContent) -> int:
        """A server that counts only what is loaded is asked again once it is."""
        try:
            return self.client.count(swap.hidden)
        except MilvusError:
            return sum(batch.num_rows for batch in self._read_back(swap, content))

    def _read_back(self, swap: Swap, content: CollectionContent) -> Iterator[pa.RecordBatch]:
        described = dataclasses.replace(content.description, name=swap.hidden)
        snapshots = snapshots_of(self.job.cluster)
        if snapshots is None:
            yield from _batches(WireScan(self.client, described))
            return
        name = f"{self.attempt.task.task_id}-{self.attempt.lease.epoch}-{swap.hidden}"
        pinned = snapshots.take(name, database=self.job.db_name, collections=[swap.hidden])
        try:
            yield from _batches(pinned.scans()[0])
        finally:
            snapshots.drop(name)

    # index

    def index(self) -> None:
        for number, swap in enumerate(self.swaps):
            share = INDEXING[0] + (INDEXING[1] - INDEXING[0]) * number // len(self.swaps)
            hidden = self.client.has(swap.hidden)
            if hidden and swap.step.source not in self._noted("begun"):
                self._index_one(swap, self.contents[number], share)

    def _index_one(self, swap: Swap, content: CollectionContent, percent: int) -> None:
        self.attempt.report(percent, "indexing", f"Building the indexes of {swap.step.target}.")
        self.attempt.guard()
        create.create_indexes(self.client, content.description, swap.hidden)
        while not self._is_indexed(swap):
            self.attempt.report(percent, "indexing", self._indexed(swap))
            time.sleep(POLL_SECONDS)
        self.attempt.guard()
        create.load(self.client, swap.hidden, swap.load)
        for loaded in create.loading(self.client, swap.hidden, swap.load):
            said = f"Loading {swap.step.target}: {loaded} percent."
            self.attempt.report(percent, "indexing", said)
            time.sleep(POLL_SECONDS)

    def _is_indexed(self, swap: Swap) -> bool:
        done, total = create.index_progress(self.client, swap.hidden)
        return done >= total

    def _indexed(self, swap: Swap) -> str:
        done, total = create.index_progress(self.client, swap.hidden)
        return f"Indexed {done} of {total} rows of {swap.step.target}."

    # swap

    def swap(self) -> None:
        self.attempt.report(SWAPPING, "swapping", "Giving the collections their names.")
        for swap in self.swaps:
            self.attempt.safe_point()
            self._note("begun", swap.step.source)
            swap.forward(self.client, self.attempt.guard)
        self.attempt.remember(swapped=True)
        for swap in self.swaps:
            swap.finish(self.client, self.attempt.guard)

    def undo(self) -> None:
        """From the moment that all have their names there is no way back, only to the end."""
        if self.attempt.task.checkpoint.get("swapped"):
            for swap in self.swaps:
                swap.finish(self.client, self.attempt.guard)
        else:
            self._walk_back()

    def _walk_back(self) -> None:
        """In the reverse order of the swaps; a database made for this restore goes last."""
        begun = self._noted("begun")
        for swap in reversed(self.swaps):
            swap.undo(self.client, self.attempt.guard, began=swap.step.source in begun)
        if self.attempt.task.checkpoint.get("created_database") and not self.client.collections():
            self.attempt.guard()
            self.client.drop_database(self.job.db_name)

    # the journal

    def _noted(self, list_name: str) -> list[str]:
        return list(self.attempt.task.checkpoint.get(list_name, ()))

    def _note(self, list_name: str, source: str) -> None:
        noted = self._noted(list_name)
        if source not in noted:
            self.attempt.remember(**{list_name: [*noted, source]})


def _batches(scan: Scan) -> Iterator[pa.RecordBatch]:
    return (scanned.batch for scanned in scan.batches())
