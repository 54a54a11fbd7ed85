"""A collection of an archive into a hidden one: inserted, compared, indexed, loaded as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pyarrow as pa

from backups.archive.manifest import CollectionContent
from backups.archive.reader import ArchiveReader
from backups.connections import address_of
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import NotLoaded
from backups.milvus.indexing import IndexBuild
from backups.milvus.insert import Inserter
from backups.milvus.readable import opened
from backups.models import BackupJob
from backups.restore.preflight import has_new_keys, respells
from backups.restore.progress import COMPARING, INDEXING, INSERTING, RestoreProgress
from backups.restore.row_compare import RowChecksumComparison, read_back
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

_FEWER_REPLICAS = "this server cannot load it with {} replicas, so it is loaded with one."


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreContext:
    """What all collections of one restore share."""

    attempt: Attempt
    job: BackupJob
    client: Client
    reader: ArchiveReader
    progress: RestoreProgress


class CollectionRestore:
    """One collection's rows. Every method may be called again after a death at any point."""

    def __init__(self, work: RestoreContext, content: CollectionContent, hidden: str) -> None:
        self._attempt, self._job, self._client = work.attempt, work.job, work.client
        self._reader, self._progress = work.reader, work.progress
        self._content, self._hidden = content, hidden
        self._description = content.description
        self._name = content.description.name
        self._normalize_json = respells(
            work.reader.manifest, work.client.server(), content.description
        )
        self._expected = content.row_checksum

    # rows

    def insert(self) -> None:
        """What an attempt left half filled is worth nothing."""
        self._attempt.guard()
        self._client.drop(self._hidden)
        self._attempt.guard()
        create.create(self._client, self._description, self._hidden)
        given = RowChecksumComparison(normalize_json=self._normalize_json)
        inserter = Inserter(self._client, self._description, self._hidden)
        done = 0
        for partition, batch in self._verified():
            self._attempt.guard()
            inserter.add(batch, partition)
            if self._normalize_json:
                given.update(batch)
            done += batch.num_rows
            self._say(INSERTING, done, f"Inserted {done} of {self._content.rows} rows")
        inserter.finish()
        self._client.flush([self._hidden])
        self._progress.passed(self._name, INSERTING)
        if self._normalize_json:
            self._expected = given.digest()

    def _verified(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        for partition in self._description.partitions:
            for part in self._content.parts_of(partition):
                self._say(INSERTING, 0, f"Reading and verifying {part.name}")
                for batch in self._reader.batches(part):
                    yield partition, batch

    # comparing

    def compare(self) -> None:
        """Counted by the server, and every row read back and summed up as in the backup. A full
        Milvus builds all indexes before, because it gives no row of what is not loaded.
        """
        self._attempt.guard()
        watched = self._say_indexed, self._say_loaded
        with opened(self._client, self._description, self._hidden, *watched):
            self._compare()
        self._progress.passed(self._name, COMPARING)

    def _compare(self) -> None:
        counted = self._count()
        if counted != self._content.rows:
            raise JobFailed(
                f"{self._name} has {counted} rows after inserting, not {self._content.rows}.",
                permanent=False,
            )
        if not has_new_keys(self._client.server(), self._description):
            self._compare_rows()  # else they cannot be the same, and a warning says so

    def _compare_rows(self) -> None:
        found = RowChecksumComparison(normalize_json=self._normalize_json)
        for batch in self._read_back():
            found.update(batch)
            said = f"Read back {found.rows} of {self._content.rows} rows"
            self._say(COMPARING, found.rows, said)
        if found.digest() != self._expected:
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

    def _read_back(self) -> Iterator[pa.RecordBatch]:
        self._attempt.guard()
        return read_back(self._attempt, self._job, self._client, self._description, self._hidden)

    # indexes

    def index(self) -> None:
        self._progress.say(self._name, INDEXING, 0, 1, f"Indexing {self._name}.")
        self._attempt.guard()
        control = address_of(self._job.cluster).control
        build = IndexBuild(self._client, control, self._description, self._hidden)
        build.run(self._say_indexed)
        for text in build.refused:
            self._attempt.warn(text)
        self._load()
        self._progress.passed(self._name, INDEXING)

    def _say_indexed(self, done: int, total: int) -> None:
        said = f"Indexed {done} of {total} rows of {self._name}."
        self._progress.say(self._name, INDEXING, done, total, said)

    def _load(self) -> None:
        self._attempt.guard()
        wanted = self._description.load
        loaded = create.load(self._client, self._hidden, wanted)
        if wanted.replicas != loaded.replicas and not self._client.server().is_embedded:
            self._attempt.warn(f"{self._name}: {_FEWER_REPLICAS.format(wanted.replicas)}")
        for percent in create.loading(self._client, self._hidden, loaded):
            self._say_loaded(percent)

    def _say_loaded(self, percent: int) -> None:
        """The last of indexing; the server tells it in percent, not in rows."""
        said = f"Loaded {percent} percent of {self._name}."
        self._progress.say(self._name, INDEXING, 1, 1, said)

    def _say(self, phase: str, rows: int, said: str) -> None:
        self._progress.say(self._name, phase, rows, self._content.rows, f"{said}; {self._name}.")
