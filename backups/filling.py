"""A collection of an archive into a hidden one: inserted, compared, indexed, loaded as it was."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pyarrow as pa

from backups.archive.checksum import RowChecksum
from backups.archive.description import CollectionDescription
from backups.archive.manifest import CollectionContent
from backups.archive.reader import ArchiveReader
from backups.hands import snapshots_of
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import NotLoaded
from backups.milvus.insert import Inserter
from backups.milvus.scan import Scan
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from backups.preflight import has_new_keys
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

POLL_SECONDS = 0.2
INSERTING = (5, 65)
COMPARING = (65, 80)
INDEXING = (80, 95)


@dataclasses.dataclass
class Share:
    """How much of all rows is done, so that progress is counted over the whole job."""

    total: int
    done: int = 0

    def percent(self, span: tuple[int, int]) -> int:
        begin, end = span
        return begin + (end - begin) * self.done // max(1, self.total)


class Filling:
    """One collection's rows. Every method may be called again after a death at any point."""

    def __init__(
        self, attempt: Attempt, job: BackupJob, client: Client, content: CollectionContent, to: str
    ) -> None:
        self._attempt, self._job, self._client = attempt, job, client
        self._content, self._hidden = content, to
        self._name = content.description.name

    # rows

    def insert(self, reader: ArchiveReader, share: Share) -> None:
        """What an attempt left half filled is worth nothing."""
        self._attempt.guard()
        self._client.drop(self._hidden)
        self._attempt.guard()
        create.create(self._client, self._content.description, self._hidden)
        inserter = Inserter(self._client, self._content.description, self._hidden)
        for partition in self._content.description.partitions:
            for batch in self._verified(reader, partition, share):
                self._attempt.guard()
                inserter.add(batch, partition)
                share.done += batch.num_rows
                said = f"Inserted {share.done} of {share.total} rows; {self._name}."
                self._attempt.report(share.percent(INSERTING), "inserting", said)
        inserter.finish()
        self._client.flush([self._hidden])

    def _verified(
        self, reader: ArchiveReader, partition: str, share: Share
    ) -> Iterator[pa.RecordBatch]:
        for part in self._content.parts_of(partition):
            self._attempt.report(share.percent(INSERTING), "reading", f"Verifying {part.name}.")
            yield from reader.batches(part)

    # comparing

    def compare(self, share: Share) -> None:
        """Counted by the server, and every row read back and summed up as in the backup."""
        counted = self._count()
        if counted != self._content.rows:
            raise JobFailed(
                f"{self._name} has {counted} rows after inserting, not {self._content.rows}.",
                permanent=False,
            )
        if self._has_new_keys():
            return  # then its rows cannot be the same, and a warning says so
        checksum = RowChecksum()
        for batch in self._read_back():
            checksum.update(batch)
            said = f"Reading back {self._name}: {checksum.rows} of {self._content.rows} rows."
            self._attempt.report(share.percent(COMPARING), "comparing", said)
        if checksum.digest() != self._content.row_checksum:
            raise JobFailed(
                f"The rows of {self._name} differ from the backup's after inserting.",
                permanent=True,
            )

    def _count(self) -> int:
        """A server that counts only what is loaded tells its rows by giving them."""
        try:
            return self._client.count(self._hidden)
        except NotLoaded:
            return sum(batch.num_rows for batch in self._read_back())

    def _has_new_keys(self) -> bool:
        return has_new_keys(self._client.server(), self._content.description)

    def _read_back(self) -> Iterator[pa.RecordBatch]:
        described = dataclasses.replace(self._content.description, name=self._hidden)
        snapshots = snapshots_of(self._job.cluster, self._attempt.name)
        if snapshots is None:
            yield from _batches(WireScan(self._client, described))
            return
        name = f"{self._attempt.name}-{self._hidden}"
        pinned = snapshots.take(name, database=self._job.db_name, collections=[self._hidden])
        try:
            yield from _batches(pinned.scans()[0])
        finally:
            snapshots.drop(name)

    # indexes

    def index(self, share: Share) -> None:
        percent, description = share.percent(INDEXING), self._content.description
        said = f"Building the indexes of {self._name}."
        self._attempt.report(percent, "indexing", said)
        self._attempt.guard()
        create.create_indexes(self._client, description, self._hidden)
        for done, total in self._indexed():
            said = f"Indexed {done} of {total} rows of {self._name}."
            self._attempt.report(percent, "indexing", said)
        self._load(description, percent)

    def _indexed(self) -> Iterator[tuple[int, int]]:
        """Until all of it is."""
        done, total = create.index_progress(self._client, self._hidden)
        while done < total:
            yield done, total
            time.sleep(POLL_SECONDS)
            done, total = create.index_progress(self._client, self._hidden)

    def _load(self, description: CollectionDescription, percent: int) -> None:
        self._attempt.guard()
        create.load(self._client, self._hidden, description.load)
        for loaded in create.loading(self._client, self._hidden, description.load):
            said = f"Loading {self._name}: {loaded} percent."
            self._attempt.report(percent, "indexing", said)
            time.sleep(POLL_SECONDS)


def _batches(scan: Scan) -> Iterator[pa.RecordBatch]:
    return (scanned.batch for scanned in scan.batches())
