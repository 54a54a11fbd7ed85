from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backups.archive.codec import FormatError
from backups.archive.scalars import Scalar

MAX_BATCH_ROWS = 8192
BATCH_BYTES = 16 * 1024 * 1024
WORTH_THREADS_BYTES = 1024 * 1024


def open_writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a writer without dictionaries, because vectors and keys rarely repeat and memory is then
    bounded by one row group.
    """
    return pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=False,
        store_schema=True,
    )


def open_file(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data), memory_map=False)


def check_row_groups(file: pq.ParquetFile, limit: int) -> None:
    """Raise FormatError if a row group announces more than `limit` decompressed bytes."""
    for at in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(at).total_byte_size
        if not 0 <= size <= limit:
            raise FormatError(f"a row group has {size} bytes, more than the allowed {limit}")


def batches_of(file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Read batches. Wide rows have smaller batches, so that memory does not grow with the width."""
    groups = (file.metadata.row_group(at) for at in range(file.metadata.num_row_groups))
    stored = max(1, sum(group.total_byte_size for group in groups))
    width = max(1, stored // max(1, file.metadata.num_rows))
    yield from file.iter_batches(
        batch_size=min(MAX_BATCH_ROWS, max(1, BATCH_BYTES // width)),
        columns=columns,
        use_threads=stored > WORTH_THREADS_BYTES,
    )


class KeyRange:
    """The smallest and largest primary key. Text is compared by code point, as its UTF-8 bytes."""

    def __init__(self) -> None:
        self.bounds: tuple[Any, Any] | None = None

    def update(self, keys: pa.Array) -> None:
        bounds = pc.min_max(keys).as_py()
        low, high = bounds["min"], bounds["max"]
        if low is None:
            return
        if self.bounds is not None:
            low, high = min(low, self.bounds[0]), max(high, self.bounds[1])
        self.bounds = low, high

    def scalars(self) -> tuple[Scalar, Scalar]:
        if self.bounds is None:
            raise FormatError("there are no keys")
        return Scalar(value=self.bounds[0]), Scalar(value=self.bounds[1])


def check_batch(batch: pa.RecordBatch, schema: pa.Schema) -> None:
    """Raise FormatError for a batch that a reader would not get back unchanged."""
    if not batch.schema.equals(schema):
        raise FormatError(f"a batch has the columns {batch.schema}, expected {schema}")
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise FormatError(f"a batch is invalid: {error}") from error
    for field, column in zip(schema, batch.columns, strict=True):
        if column.null_count and not field.nullable:
            raise FormatError(
                f"field {field.name!r} is not nullable and has {column.null_count} nulls"
            )
        if pa.types.is_nested(field.type) and column.flatten().null_count:
            raise FormatError(f"field {field.name!r} has nulls inside its lists")
