"""Rows into an archive: sealed parts first, the manifest last."""

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
from backups.stores.base import ObjectExists, StagedObject, Store, StoreError, put

PART_BYTES = 64 * 1024 * 1024
"""Of rows in memory, before compression: a part is sealed with the batch that reaches it."""

ROW_GROUP_BYTES = 16 * 1024 * 1024
_READ_CHUNK_BYTES = 1024 * 1024

Guard = Callable[[], None]
"""Raises when the caller has lost its right to write; called right before every effect."""

Fenced = Callable[[], AbstractContextManager[object]]
"""While it is entered the caller cannot lose its right to write; entering raises where it has."""


class ManifestTooLarge(StoreError):
    """Nobody could read what would be sealed."""

    permanent = True


def nothing_to_guard() -> None:
    """For callers that are alone."""


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
) -> Iterator[Part]:
    """Write one partition's rows; yields each part once it is sealed, so that the caller keeps it.

    A part ends with a batch. `batches` go on after the rows of `sealed` (`rows_sealed` counts
    them), the parts that earlier attempts wrote of this partition. Memory holds one batch and what
    Parquet buffers of one row group, however many rows there are.
    """
    number = len(_of(sealed, description.name, partition))
    writing = _Writing(store, archive, description, partition, part_bytes, fenced)
    nonempty = (batch for batch in batches if batch.num_rows)
    for first in nonempty:
        yield writing.part(number, first, nonempty)
        number += 1


def rows_sealed(sealed: Iterable[Part], collection: str, partition: str) -> int:
    """How many rows of the partition need not be read again."""
    return sum(part.rows for part in _of(sealed, collection, partition))


def seal(store: Store, archive: str, manifest: Manifest, *, guard: Guard = nothing_to_guard) -> str:
    """Write the manifest: from here on this is a backup. Answers its SHA-256.

    Every part must lie there with its size. Asked again with the same manifest it succeeds; with
    another one it raises `ObjectExists`.
    """
    for part in manifest.checked().parts:
        if store.size(inside(archive, part.name)) != part.bytes:
            raise StoreError(f"{part.name} is gone or has another size: start the backup over.")
    data, key = serialize(manifest), inside(archive, MANIFEST_NAME)
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestTooLarge(
            f"The manifest would have {len(data)} bytes, and readers take {MAX_MANIFEST_BYTES}: "
            "back up fewer collections at a time."
        )
    guard()
    try:
        put(store, key, data)
    except ObjectExists:
        if store.read(key, limit=len(data) + 1) != data:
            raise
    return manifest_sha256(data)


def _of(parts: Iterable[Part], collection: str, partition: str) -> list[Part]:
    return [part for part in parts if (part.collection, part.partition) == (collection, partition)]


class _Writing:
    """One partition on its way into parts."""

    def __init__(
        self,
        store: Store,
        archive: str,
        description: CollectionDescription,
        partition: str,
        part_bytes: int,
        fenced: Fenced,
    ) -> None:
        if partition not in description.partitions:
            raise FormatError(f"{description.name!r} has no partition {partition!r}")
        self.store, self.archive, self.fenced = store, archive, fenced
        self.description, self.partition = description, partition
        self.schema, self.part_bytes = arrow_schema(description), part_bytes

    def part(self, number: int, first: pa.RecordBatch, more: Iterator[pa.RecordBatch]) -> Part:
        with self.store.stage() as staged:
            written = _OpenPart(staged, self.schema, self.description.primary_key.name)
            with contextlib.ExitStack() as stack:
                stack.callback(written.abandon)
                self._fill(written, first, more)
                written.finish()
            part = self._facts(number, written)
            staged.finish()
            with (
                self.fenced()
            ):  # a worker that was paused here must not publish into a sealed archive
                self._publish(staged, part)
        return part

    def _fill(self, part: _OpenPart, first: pa.RecordBatch, more: Iterator[pa.RecordBatch]) -> None:
        part.write(first)
        while part.arrow_bytes < self.part_bytes and (batch := next(more, None)) is not None:
            part.write(batch)

    def _facts(self, number: int, written: _OpenPart) -> Part:
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
        """An earlier attempt, or another part with the same rows, may have left the same file."""
        key = inside(self.archive, part.name)
        try:
            staged.publish(key)
        except ObjectExists as error:
            if _hash_of(self.store, key) != part.sha256:
                raise StoreError(f"{key} was damaged after it was written.") from error


class _OpenPart:
    """Small batches are gathered into row groups, which are what a reader has in memory at once."""

    def __init__(self, staged: StagedObject, schema: pa.Schema, key: str) -> None:
        self.sink = _HashingSink(staged)
        self.writer = open_writer(pa.PythonFile(self.sink, mode="w"), schema)
        self.schema, self.key = schema, key
        self.keys, self.checksum = KeyRange(), RowChecksum()
        self.gathered: list[pa.RecordBatch] = []
        self.gathered_bytes = self.arrow_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        check_batch(batch, self.schema)
        self.keys.update(batch.column(self.key))
        self.checksum.update(batch)
        self.gathered.append(batch)
        self.gathered_bytes += batch.nbytes
        self.arrow_bytes += batch.nbytes
        if self.gathered_bytes >= ROW_GROUP_BYTES:
            self._write_row_group()

    def finish(self) -> None:
        self._write_row_group()
        self.writer.close()

    def abandon(self) -> None:
        """Nobody will read it; closing may fail for the reason that made us give up."""
        with contextlib.suppress(Exception):
            self.writer.close()

    def _write_row_group(self) -> None:
        if self.gathered:
            table = pa.Table.from_batches(self.gathered)
            self.writer.write_table(table, row_group_size=table.num_rows)
        self.gathered, self.gathered_bytes = [], 0


class _HashingSink:
    """The file that Parquet writes to: forward only, so the hash can be taken on the way."""

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
        """Durability comes with `publish`."""

    def close(self) -> None:
        self.closed = True


def _hash_of(store: Store, key: str) -> str:
    sha256 = hashlib.sha256()
    with store.open(key) as stream:
        while piece := stream.read(_READ_CHUNK_BYTES):
            sha256.update(piece)
    return sha256.hexdigest()
