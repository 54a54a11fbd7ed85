"""Read a pinned collection of the embedded engine from its files, without the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backups.archive.columns import arrow_field, arrow_schema
from backups.archive.description import CollectionDescription, FieldDescription
from backups.milvus.create import has_partition_key
from backups.milvus.errors import UnsupportedFeature
from backups.milvus.live import Bits, live_bits, live_count, live_slice, read_parquet
from backups.milvus.pinned_schema import described
from backups.milvus.scan import Scanned
from clusters.milvus_names import shown

_BATCH_BYTES = 8 * 1024 * 1024
_MIN_ROWS = 64
_MAX_ROWS = 2**16

Pinned = dict[str, Any]
"""One of `collections` in the answer of the launcher's CreateSnapshot."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Position:
    """The next row to read: number in its file, including dead rows."""

    file: int
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"

    @classmethod
    def parse(cls, cursor: str | None) -> Position:
        file, _, row = (cursor or "0:0").partition(":")
        return cls(file=int(file), row=int(row))


class PinnedScan:
    """Implements `backups.milvus.scan.Scan` over the files of a snapshot."""

    def __init__(self, directory: Path, pinned: Pinned) -> None:
        self.collection: CollectionDescription = described(pinned)
        self._directory = directory
        self._files = sorted(pinned["data_files"], key=_order)
        self._delta_files = sorted(pinned["delta_files"], key=_order)

    def rows(self) -> int:
        return sum(map(live_count, self._live))

    def batches(self, after: str | None = None) -> Iterator[Scanned]:
        start = Position.parse(after)
        for number in range(start.file, len(self._files)):
            yield from self._batches_of(number, start.row if number == start.file else 0)

    @cached_property
    def _live(self) -> list[Bits]:
        key = self.collection.primary_key.name
        paths = [self._path(file) for file in self._files]
        return live_bits(paths, [self._path(file) for file in self._delta_files], key)

    def _path(self, file: Pinned) -> Path:
        """Raises UnsupportedFeature if the path leaves the snapshot, because this process can read
        the files of all clusters, but the path comes from one cluster.
        """
        path = (self._directory / str(file["path"])).resolve()
        if not path.is_relative_to(self._directory.resolve()):
            raise UnsupportedFeature(
                f"Snapshot {self._directory.name} names a file outside of its directory, "
                f"{shown(str(file['path']))}. Restart the cluster and create the backup again. If "
                "this persists, the process of the cluster is faulty."
            )
        return path

    def _batches_of(self, number: int, first: int) -> Iterator[Scanned]:
        file, live = self._files[number], self._live[number]
        partition = None if has_partition_key(self.collection) else file["partition"]
        for row, raw in _rows_from(self._path(file), self.collection, first):
            following = row + raw.num_rows
            is_live = live_slice(live, row, raw.num_rows)
            batch = raw if is_live.all() else raw.filter(pa.array(is_live))
            if batch.num_rows:
                cursor = str(Position(file=number, row=following))
                yield Scanned(
                    batch=converted(batch, self.collection), partition=partition, cursor=cursor
                )


def converted(raw: pa.RecordBatch, collection: CollectionDescription) -> pa.RecordBatch:
    columns = [_converted(field, raw) for field in collection.columns]
    return pa.record_batch(columns, schema=arrow_schema(collection))


def _order(file: Pinned) -> tuple[str, int, str]:
    return file["partition"], file["least_sequence"], file["path"]


def _rows_from(
    path: Path, collection: CollectionDescription, first: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield batches with the number of their first row. Skips row groups before `first`."""
    metadata = pq.read_metadata(path)
    names = [field.name for field in collection.columns]
    groups, row = _row_groups_from(metadata, first)
    for batch in read_parquet(path, names, _batch_rows(metadata), groups):
        skipped = min(max(0, first - row), batch.num_rows)
        if skipped < batch.num_rows:
            yield row + skipped, batch.slice(skipped)
        row += batch.num_rows


def _row_groups_from(metadata: pq.FileMetaData, first: int) -> tuple[list[int], int]:
    row = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        if row + count > first:
            return list(range(group, metadata.num_row_groups)), row
        row += count
    return [], row


def _batch_rows(metadata: pq.FileMetaData) -> int:
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    row_bytes = sum(group.total_byte_size for group in groups) // max(1, metadata.num_rows)
    return min(max(_BATCH_BYTES // max(1, int(row_bytes)), _MIN_ROWS), _MAX_ROWS)


def _converted(field: FieldDescription, raw: pa.RecordBatch) -> pa.Array:
    target = arrow_field(field)
    at = raw.schema.get_field_index(field.name)
    if at < 0 and field.nullable:
        return pa.nulls(raw.num_rows, target.type)
    if at < 0:
        raise UnsupportedFeature(
            f"Field {field.name!r} is missing in a file of its collection. Flush the collection, "
            "then create the backup again."
        )
    column = raw.column(at)
    if pa.types.is_fixed_size_list(target.type) or pa.types.is_list(target.type):
        return _relabelled(column, target.type)
    return column if column.type == target.type else column.cast(target.type)


def _relabelled(column: pa.Array, target: pa.DataType) -> pa.Array:
    """Rename the element of a list type to the archive's name, without copying."""
    buffers = column.buffers()[: column.type.num_buffers]
    values = column.values
    child = values if values.type == target.value_type else values.cast(target.value_type)
    return pa.Array.from_buffers(
        target, len(column), buffers, column.null_count, column.offset, [child]
    )
