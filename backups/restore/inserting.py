"""Restore one collection of an archive into a hidden one: insert, compare, index and load."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pyarrow as pa

from backups.archive.manifest import CollectionContent
from backups.archive.reader import ArchiveReader
from backups.capture.rate_limit import RateLimit
from backups.connections import address_of
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import NotLoaded
from backups.milvus.indexing import IndexBuild
from backups.milvus.insert import Inserter
from backups.milvus.readable import loaded_for_reading
from backups.models import BackupJob
from backups.restore.preflight import has_new_keys, rewrites_json
from backups.restore.progress import COMPARING, INDEXING, INSERTING, RestoreProgress
from backups.restore.row_compare import RowChecksumComparison, read_back
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

_FEWER_REPLICAS = "loaded with 1 replica, because this server cannot load it with {}."


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreContext:
    """Values shared by all collections of one restore."""

    attempt: Attempt
    job: BackupJob
    client: Client
    reader: ArchiveReader
    progress: RestoreProgress
    limit: RateLimit


class CollectionRestore:
    """Restore of one collection. Every method can be repeated after a crash at any point."""

    def __init__(self, context: RestoreContext, content: CollectionContent, hidden: str) -> None:
        self._attempt, self._job, self._client = context.attempt, context.job, context.client
        self._reader, self._progress = context.reader, context.progress
        self._limit = context.limit
        self._content, self._hidden = content, hidden
        self._description = content.description
        self._name = content.description.name
        self._normalize_json = rewrites_json(
            context.reader.manifest, context.client.server(), content.description
        )
        self._expected = content.row_checksum

    def insert(self) -> None:
        """Insert all rows. An incomplete collection of an earlier attempt is dropped first."""
        self._attempt.guard()
        self._client.drop(self._hidden)
        self._attempt.guard()
        create.create(self._client, self._description, self._hidden)
        given = RowChecksumComparison(normalize_json=self._normalize_json)
        inserter = Inserter(self._client, self._description, self._hidden)
        done = 0
        for partition, batch in self._verified_batches():
            self._attempt.guard()
            inserter.add(batch, partition)
            if self._normalize_json:
                given.update(batch)
            done += batch.num_rows
            self._limit.inserted(batch.nbytes)
            self._report(INSERTING, done, f"Inserted {done} of {self._content.rows} rows")
        inserter.finish()
        self._client.flush([self._hidden])
        self._progress.passed(self._name, INSERTING)
        if self._normalize_json:
            self._expected = given.digest()

    def _verified_batches(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        parts = [
            (partition, part)
            for partition in self._description.partitions
            for part in self._content.parts_of(partition)
        ]
        for number, (partition, part) in enumerate(parts, start=1):
            self._report(INSERTING, 0, f"Verifying part {number} of {len(parts)}")
            for batch in self._reader.batches(part):
                yield partition, batch

    def compare(self) -> bool:
        """Compare the row count, and the checksum of all rows read back. Returns False if the rows
        were only counted, because the server has generated new keys.

        A full Milvus builds all indexes before, because it returns rows of loaded collections only.
        """
        self._attempt.guard()
        reports = self._report_indexed, self._report_loaded
        with loaded_for_reading(self._client, self._description, self._hidden, *reports):
            counted = self._count()
            if counted != self._content.rows:
                raise JobFailed(
                    f"{self._name} has {counted} rows after inserting, but the backup has "
                    f"{self._content.rows}.",
                    permanent=False,
                )
            # new keys make the checksums differ; the preflight has warned
            is_comparable = not has_new_keys(self._client.server(), self._description)
            if is_comparable:
                self._compare_rows()
        self._progress.passed(self._name, COMPARING)
        return is_comparable

    def _compare_rows(self) -> None:
        actual = RowChecksumComparison(normalize_json=self._normalize_json)
        for batch in self._read_back():
            actual.update(batch)
            message = f"Read back {actual.rows} of {self._content.rows} rows"
            self._report(COMPARING, actual.rows, message)
        if actual.digest() != self._expected:
            raise JobFailed(
                f"The rows of {self._name} differ from the backup's after inserting.",
                permanent=True,
            )

    def _count(self) -> int:
        """Count the rows, by reading them if the server counts loaded collections only."""
        try:
            return self._client.count(self._hidden)
        except NotLoaded:
            return sum(batch.num_rows for batch in self._read_back())

    def _read_back(self) -> Iterator[pa.RecordBatch]:
        self._attempt.guard()
        for batch in read_back(
            self._attempt, self._job, self._client, self._description, self._hidden
        ):
            self._limit.read(batch.nbytes)
            yield batch

    def index(self) -> None:
        self._progress.report(self._name, INDEXING, 0, 1, f"Indexing {self._name}.")
        self._attempt.guard()
        control = address_of(self._job.cluster).control
        build = IndexBuild(self._client, control, self._description, self._hidden)
        build.run(self._report_indexed)
        for text in build.refused:
            self._attempt.warn(text)
        self._attempt.guard()
        original = self._description.load
        loaded = create.load(self._client, self._hidden, original)
        if original.replicas != loaded.replicas and not self._client.server().is_embedded:
            self._attempt.warn(f"{self._name}: {_FEWER_REPLICAS.format(original.replicas)}")
        for percent in create.loading(self._client, self._hidden, loaded):
            self._report_loaded(percent)
        self._progress.passed(self._name, INDEXING)

    def _report_indexed(self, done: int, total: int) -> None:
        message = f"Indexed {done} of {total} rows of {self._name}."
        self._progress.report(self._name, INDEXING, done, total, message)

    def _report_loaded(self, percent: int) -> None:
        """Report the last step of indexing, which the server measures in percent, not in rows."""
        message = f"Loaded {percent} percent of {self._name}."
        self._progress.report(self._name, INDEXING, 1, 1, message)

    def _report(self, phase: str, rows: int, message: str) -> None:
        total = self._content.rows
        self._progress.report(self._name, phase, rows, total, f"{message}; {self._name}.")
