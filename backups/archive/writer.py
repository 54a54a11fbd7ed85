"""Write rows to an archive: sealed parts first, the manifest last."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import pyarrow as pa

from backups.archive.checksum import RowChecksum
from backups.archive.codec import FormatError
from backups.archive.columns import arrow_schema, fingerprint
from backups.archive.description import CollectionDescription
from backups.archive.layout import MANIFEST_NAME, inside
from backups.archive.manifest import (
    MAX_MANIFEST_BYTES,
    Manifest,
    manifest_sha256,
    serialize,
)
from backups.archive.parquet import KeyRange, check_batch, open_writer
from backups.archive.parts import Part
from backups.stores.base import (
    Guard,
    ObjectExists,
    StagedObject,
    Store,
    StoreError,
    put,
    unguarded,
)

PART_BYTES = 63 * 1024 * 1024
"""Largest uncompressed size of a part, unless one batch is larger. With Parquet's own bytes its
file has at most 64 MiB.
"""

ROW_GROUP_BYTES = 16 * 1024 * 1024
_READ_CHUNK_BYTES = 1024 * 1024

Fenced = Callable[[], AbstractContextManager[object]]
"""Context in which the attempt cannot lose its lease. Entering raises if it is lost already."""


class ManifestTooLarge(StoreError):
    """The manifest exceeds the size that readers accept."""

    permanent = True


Throttle = Callable[[int], None]
"""Called with the number of bytes after they were written to the store. May wait."""


def unlimited(_count: int) -> None:
    """Throttle of callers without a rate limit."""


def write_parts(
    store: Store,
    archive: str,
    description: CollectionDescription,
    partition: str,
    batches: Iterable[pa.RecordBatch],
    *,
    sealed: Sequence[Part] = (),
    part_bytes: int = PART_BYTES,
    fenced: Fenced = contextlib.nullcontext,
    guard: Guard = unguarded,
    throttle: Throttle = unlimited,
) -> Iterator[Part]:
    """Write the rows of one partition and yield each sealed part, so that the caller records it.

    `sealed` are the parts of this partition from earlier attempts; `batches` continue after their
    rows (`rows_sealed`). A part ends with the batch that reaches `part_bytes`, or before another
    batch like its largest would exceed `PART_BYTES`. Memory holds one batch and Parquet's buffer of
    one row group, and the part if the store collects its bytes in memory. A store that publishes at
    once does so inside `fenced`; another one calls `guard` during its requests.
    """
    number = len(_of(sealed, description.name, partition))
    writing = _Writing(store, archive, description, partition, part_bytes, fenced, guard, throttle)
    nonempty = (batch for batch in batches if batch.num_rows)
    for first in nonempty:
        yield writing.part(number, first, nonempty)
        number += 1


def rows_sealed(sealed: Iterable[Part], collection: str, partition: str) -> int:
    """Count the sealed rows of the partition, which need not be read again."""
    return sum(part.rows for part in _of(sealed, collection, partition))


def seal(store: Store, archive: str, manifest: Manifest, *, guard: Guard = unguarded) -> str:
    """Write the manifest, which completes the backup. Returns its SHA-256.

    Raises StoreError if a part is missing or has another size. A repeated call with the same
    manifest succeeds; with another one it raises `ObjectExists`.
    """
    sizes = {entry.key: entry.size for entry in store.list(archive)}
    for part in manifest.checked().parts:
        if sizes.get(inside(archive, part.name)) != part.bytes:
            raise StoreError(
                f"{part.name} is missing or has another size. Create the backup again."
            )
    data, key = serialize(manifest), inside(archive, MANIFEST_NAME)
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestTooLarge(
            f"The manifest would have {len(data)} bytes, more than the allowed "
            f"{MAX_MANIFEST_BYTES}. Back up fewer collections at a time."
        )
    guard()
    try:
        put(store, key, data, guard)
        taken = None
    except ObjectExists as error:
        taken = error
    if (taken or not store.publishes_at_once) and store.read(key, limit=len(data) + 1) != data:
        raise taken or StoreError(
            f"{key} differs from the file that was written. Create the backup again."
        )
    return manifest_sha256(data)


def _of(parts: Iterable[Part], collection: str, partition: str) -> list[Part]:
    return [part for part in parts if (part.collection, part.partition) == (collection, partition)]


class _Writing:
    """Writer of the parts of one partition."""

    def __init__(
        self,
        store: Store,
        archive: str,
        description: CollectionDescription,
        partition: str,
        part_bytes: int,
        fenced: Fenced,
        guard: Guard,
        throttle: Throttle,
    ) -> None:
        if partition not in description.partitions:
            raise FormatError(f"{description.name!r} has no partition {partition!r}")
        self.store, self.archive = store, archive
        self.fenced, self.guard, self.throttle = fenced, guard, throttle
        self.description, self.partition = description, partition
        self.schema, self.part_bytes = arrow_schema(description), part_bytes

    def part(self, number: int, first: pa.RecordBatch, more: Iterator[pa.RecordBatch]) -> Part:
        with self.store.stage() as staged:
            written = _OpenPart(staged, self.schema, self.description.primary_key.name)
            with contextlib.ExitStack() as stack:
                stack.callback(written.abandon)
                written.write(first)
                while (
                    written.arrow_bytes < self.part_bytes
                    and written.arrow_bytes + written.largest_bytes <= PART_BYTES
                    and (batch := next(more, None)) is not None
                ):
                    self.throttle(written.new_bytes())
                    written.write(batch)
                written.finish()
                self.throttle(written.new_bytes())
            part = self._describe(number, written)
            staged.finish()
            self._publish(staged, part)
        return part

    def _describe(self, number: int, written: _OpenPart) -> Part:
        key_min, key_max = written.keys.scalars()
        return Part(
            collection=self.description.name,
            partition=self.partition,
            number=number,
            rows=written.checksum.rows,
            bytes=written.sink.size,
            sha256=written.sink.sha256.hexdigest(),
            key_min=key_min,
            key_max=key_max,
            schema=fingerprint(self.schema),
            row_checksum=written.checksum.digest(),
        )

    def _publish(self, staged: StagedObject, part: Part) -> None:
        """Publish, or accept the same file of an earlier attempt or of a part with equal rows."""
        key = inside(self.archive, part.name)
        try:
            if self.store.publishes_at_once:
                with self.fenced():  # a worker paused here must not publish into a sealed archive
                    staged.publish(key, self.guard)
            else:
                staged.publish(key, self.guard, sha256=part.sha256)
        except ObjectExists as error:
            if _hash_of(self.store, key) != part.sha256:
                raise StoreError(
                    f"{key} was damaged after it was written. Create the backup again."
                ) from error


class _OpenPart:
    """A part being written. Small batches are collected into row groups, the unit of reading."""

    def __init__(self, staged: StagedObject, schema: pa.Schema, key: str) -> None:
        self.sink = _HashingSink(staged)
        self.writer = open_writer(pa.PythonFile(self.sink, mode="w"), schema)
        self.schema, self.key = schema, key
        self.keys, self.checksum = KeyRange(), RowChecksum()
        self.gathered: list[pa.RecordBatch] = []
        self.gathered_bytes = self.arrow_bytes = 0
        self.largest_bytes = self.counted_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        check_batch(batch, self.schema)
        self.keys.update(batch.column(self.key))
        self.checksum.update(batch)
        self.gathered.append(batch)
        self.gathered_bytes += batch.nbytes
        self.arrow_bytes += batch.nbytes
        self.largest_bytes = max(self.largest_bytes, batch.nbytes)
        if self.gathered_bytes >= ROW_GROUP_BYTES:
            self._write_row_group()

    def finish(self) -> None:
        self._write_row_group()
        self.writer.close()

    def new_bytes(self) -> int:
        """Return the number of bytes written to the store since the last call."""
        count, self.counted_bytes = self.sink.size - self.counted_bytes, self.sink.size
        return count

    def abandon(self) -> None:
        """Close the writer and ignore errors, which may have the same cause as the failure."""
        with contextlib.suppress(Exception):
            self.writer.close()

    def _write_row_group(self) -> None:
        if self.gathered:
            table = pa.Table.from_batches(self.gathered)
            self.writer.write_table(table, row_group_size=table.num_rows)
        self.gathered, self.gathered_bytes = [], 0


class _HashingSink:
    """File object for Parquet that hashes while writing, because Parquet only appends."""

    closed = False

    def __init__(self, staged: StagedObject) -> None:
        self.staged = staged
        self.sha256, self.size = hashlib.sha256(), 0

    def write(self, data: memoryview) -> int:
        self.staged.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Do nothing, because `publish` makes the file durable."""

    def close(self) -> None:
        self.closed = True


def _hash_of(store: Store, key: str) -> str:
    sha256 = hashlib.sha256()
    with store.open(key) as stream:
        while piece := stream.read(_READ_CHUNK_BYTES):
            sha256.update(piece)
    return sha256.hexdigest()
