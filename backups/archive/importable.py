"""Columns in the form of Milvus' bulk import from Parquet.

Bulk import expects plain lists, binary vectors as lists of bytes, and text instead of the archive's
bytes: JSON and the dynamic field as JSON text, sparse vectors as JSON objects of index and value,
times as RFC 3339.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backups.archive.description import CollectionDescription, DataType, FieldDescription

_PAIR = np.dtype([("index", "<u4"), ("value", "<f4")])
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def importable(batch: pa.RecordBatch, collection: CollectionDescription) -> pa.RecordBatch:
    fields = [field for field in collection.columns if not field.is_function_output]
    columns = [_column(batch.column(field.name), field) for field in fields]
    return pa.record_batch(columns, names=[field.name for field in fields])


def _column(column: pa.Array, field: FieldDescription) -> pa.Array:
    if field.is_dynamic:
        return pc.fill_null(_text(column), "{}")
    if field.data_type is not DataType.ARRAY:
        return _convert(column, field.data_type)
    elements = _convert(column.values, field.element_type or DataType.VARCHAR)
    return _list(pa.array(column.offsets.to_numpy()), elements, column)


def _convert(column: pa.Array, data_type: DataType) -> pa.Array:
    convert = _CONVERSIONS.get(data_type)
    return column if convert is None else convert(column)


def _list(offsets: pa.Array, values: pa.Array, original: pa.Array) -> pa.Array:
    mask = original.is_null() if original.null_count else None
    return pa.ListArray.from_arrays(offsets, values, mask=mask)


def _evenly(size: int, values: pa.Array, original: pa.Array) -> pa.Array:
    offsets = pa.array(np.arange(len(original) + 1, dtype=np.int32) * size)
    return _list(offsets, values, original)


def _numbers(column: pa.Array) -> pa.Array:
    size = column.type.list_size
    values = column.values.slice(column.offset * size, len(column) * size)
    return _evenly(size, values, column)


def _octets(column: pa.Array) -> pa.Array:
    width = column.type.byte_width
    raw = np.frombuffer(column.buffers()[1], np.uint8)
    start = column.offset * width
    return _evenly(width, pa.array(raw[start : start + len(column) * width]), column)


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _instants(column: pa.Array) -> pa.Array:
    return pc.strftime(column, format=_INSTANT)


def _sparse(column: pa.Array) -> pa.Array:
    rows = [None if row is None else _sparse_text(row) for row in column.to_pylist()]
    return pa.array(rows, pa.string())


def _sparse_text(row: bytes) -> str:
    """Format each value as the shortest decimal that is the same float32."""
    pairs = np.frombuffer(row, _PAIR)
    return json.dumps({str(pair["index"]): float(str(pair["value"])) for pair in pairs})


_CONVERSIONS: dict[DataType, Callable[[pa.Array], pa.Array]] = {
    DataType.JSON: _text,
    DataType.TIMESTAMPTZ: _instants,
    DataType.FLOAT_VECTOR: _numbers,
    DataType.INT8_VECTOR: _numbers,
    DataType.BINARY_VECTOR: _octets,
    DataType.FLOAT16_VECTOR: _octets,
    DataType.BFLOAT16_VECTOR: _octets,
    DataType.SPARSE_FLOAT_VECTOR: _sparse,
}
