"""Checksum of the rows of a collection, independent of the order of rows and batches.

Each row is serialized to bytes (its columns sorted by name), each serialization hashed with
SHA-256, and the hashes added modulo 2**256. So batches, parts and attempts combine by addition, and
a duplicated row does not cancel itself as with exclusive or.

The serialization of a value: `00` for null; else `01` and then, for types of fixed width, the bytes
little-endian (a boolean is one byte); for text and bytes a uint32 length and the bytes; for lists a
uint32 count and the elements, serialized as values without the leading `01`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MODULUS = 2**256
_LANES = np.dtype("<u4")
_HASH_BYTES = 32
_MAX_BATCH_ROWS = 4096
_BATCH_BYTES = 4 * 1024 * 1024
_NOTHING = pa.scalar(b"", pa.large_binary())

Spelled = tuple[np.ndarray, np.ndarray]
"""Offsets (one more than items) and the bytes."""


class RowChecksum:
    def __init__(self, columns: Sequence[str] | None = None) -> None:
        """`columns` restricts the checksum to some columns of the batches."""
        self.columns = None if columns is None else frozenset(columns)
        self.rows = 0
        self._sum = 0

    def update(self, batch: pa.RecordBatch) -> None:
        # a slice fits the processor cache: serialized rows need several times their memory
        width = max(1, batch.nbytes // max(1, batch.num_rows))
        step = int(min(_MAX_BATCH_ROWS, max(1, _BATCH_BYTES // width)))
        for start in range(0, batch.num_rows, step):
            self._add(batch.slice(start, step))

    def combine(self, other: RowChecksum | str) -> None:
        """Add another checksum, or the digest of one without its number of rows."""
        if isinstance(other, RowChecksum):
            self.rows += other.rows
        digest = other.digest() if isinstance(other, RowChecksum) else other
        self._sum = (self._sum + int(digest, 16)) % _MODULUS

    def digest(self) -> str:
        """Return 64 hexadecimal digits, all zero for no rows."""
        return f"{self._sum:064x}"

    @classmethod
    def of(cls, batches: Sequence[pa.RecordBatch], columns: Sequence[str] | None = None) -> Self:
        checksum = cls(columns)
        for batch in batches:
            checksum.update(batch)
        return checksum

    def _add(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        if missing := (self.columns or frozenset()) - set(names):
            raise KeyError(f"the batch lacks the columns {sorted(missing)}")
        names = sorted(
            [name for name in names if self.columns is None or name in self.columns],
            key=lambda name: name.encode("utf-8"),
        )
        offsets, data = _joined([piece for name in names for piece in _pieces(batch.column(name))])
        self._sum = (self._sum + _sum_of_hashes(offsets, data)) % _MODULUS
        self.rows += batch.num_rows


def _sum_of_hashes(offsets: np.ndarray, data: np.ndarray) -> int:
    """Add lanes of 32 bits in uint64, which cannot overflow with the rows of a batch."""
    view, sha256 = memoryview(data.data), hashlib.sha256
    bounds = offsets.tolist()
    hashes = b"".join(
        [sha256(view[start:end]).digest() for start, end in itertools.pairwise(bounds)]
    )
    lanes = np.frombuffer(hashes, _LANES).reshape(-1, _HASH_BYTES // _LANES.itemsize)
    sums = lanes.sum(axis=0, dtype=np.uint64).tolist()
    return sum(lane << (32 * at) for at, lane in enumerate(sums))


def _pieces(column: pa.Array) -> list[Spelled]:
    """Serialize a column: the marker of each value, and the value unless it is null."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    markers = _fixed_width(valid.astype(np.uint8).reshape(-1, 1))
    pieces = _values(column)
    if column.null_count:
        pieces = [_without_nulls(valid, *piece) for piece in pieces]
    return [markers, *pieces]


def _without_nulls(valid: np.ndarray, offsets: np.ndarray, data: np.ndarray) -> Spelled:
    """Drop the bytes under nulls, because they are no content."""
    lengths = np.diff(offsets)
    kept = data[offsets[0] : offsets[-1]][np.repeat(valid, lengths)]
    return _offsets_of(np.where(valid, lengths, 0)), kept


def _values(column: pa.Array) -> list[Spelled]:
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        bounds = (np.arange(len(column) + 1) + column.offset) * kind.list_size
        return _list(column, bounds)
    if pa.types.is_list(kind):
        return _list(column, _offsets_in(column))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        offsets = _offsets_in(column)
        return [_counts(np.diff(offsets)), (offsets, _bytes_in(column.buffers()[2]))]
    if pa.types.is_boolean(column.type):
        column = pc.fill_null(column, False).cast(pa.uint8())
    width = column.type.byte_width
    start = column.offset * width
    raw = _bytes_in(column.buffers()[1])
    return [_fixed_width(raw[start : start + len(column) * width].reshape(-1, width))]


def _list(column: pa.Array, bounds: np.ndarray) -> list[Spelled]:
    elements = column.values.slice(bounds[0], bounds[-1] - bounds[0])
    offsets, data = _joined(_values(elements))
    counts = _counts(np.diff(bounds))
    return [counts, (offsets[bounds - bounds[0]], data)]


def _counts(lengths: np.ndarray) -> Spelled:
    return _fixed_width(lengths.astype("<u4").view(np.uint8).reshape(-1, 4))


def _fixed_width(rows: np.ndarray) -> Spelled:
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
    return offsets, rows.reshape(-1)


def _offsets_in(column: pa.Array) -> np.ndarray:
    bounds = column.buffers()[1]
    if bounds is None or not len(column):
        return np.zeros(1, np.int64)
    return _typed(bounds, np.int32, column.offset, len(column) + 1).astype(np.int64)


def _offsets_of(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _bytes_in(buffer: pa.Buffer | None) -> np.ndarray:
    return np.empty(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def _typed(buffer: pa.Buffer, kind: type, start: int, count: int) -> np.ndarray:
    return np.frombuffer(buffer, kind, count=count, offset=start * np.dtype(kind).itemsize)


def _joined(pieces: list[Spelled]) -> Spelled:
    if len(pieces) == 1:
        return pieces[0]
    joined = pc.binary_join_element_wise(*(_as_binary(*piece) for piece in pieces), _NOTHING)
    _, bounds, data = joined.buffers()
    return _typed(bounds, np.int64, joined.offset, len(joined) + 1), _bytes_in(data)


def _as_binary(offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    bounds = np.ascontiguousarray(offsets, np.int64)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)
