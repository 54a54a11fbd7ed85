"""Decode columns of the protocol to Arrow, without a Python object per row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backups.archive.columns import arrow_schema, arrow_type
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.milvus.errors import MilvusError
from backups.milvus.types import BYTE_VECTOR_MEMBERS, SCALAR_MEMBERS

NO_DYNAMIC_FIELDS = b"{}"
"""Server's value, beside null, for a row without dynamic fields. A backup stores null for both."""

_MEMBERS = {**SCALAR_MEMBERS, DataType.JSON: "json_data"}

Decoder = Callable[[Any, pa.DataType], pa.Array]


def record_batch(fields_data: Iterable[Any], collection: CollectionDescription) -> pa.RecordBatch:
    """Decode a page of rows. Raises MilvusError if they do not fit the collection's schema."""
    data = {("$meta" if item.is_dynamic else item.field_name): item for item in fields_data}
    for field in collection.columns:
        if field.name not in data:
            raise _unfit(f"field {field.name!r} of collection {collection.name!r} is missing")
    key = collection.primary_key
    count = len(_scalars(data[key.name], key.data_type))
    columns = []
    for field in collection.columns:
        try:
            column = _column(field, data[field.name], count)
        except (ValueError, TypeError, IndexError, OverflowError, pa.ArrowException) as error:
            raise _unfit(
                f"values of field {field.name!r} of collection {collection.name!r} are not of "
                f"type {field.data_type}"
            ) from error
        if len(column) != count:
            raise _unfit(
                f"field {field.name!r} of collection {collection.name!r} has {len(column)} values "
                f"in {count} rows"
            )
        columns.append(column)
    return pa.record_batch(columns, schema=arrow_schema(collection))


def keys_of(fields_data: Iterable[Any], key: FieldDescription) -> Sequence[int | str]:
    for item in fields_data:
        if item.field_name == key.name:
            return _scalars(item, key.data_type)  # type: ignore[no-any-return]
    raise _unfit(f"the primary key {key.name!r} is missing")


def _unfit(problem: str) -> MilvusError:
    return MilvusError(
        f"The server returned rows that do not fit its schema: {problem}.", permanent=True
    )


def _column(field: FieldDescription, field_data: Any, count: int) -> pa.Array:
    type_ = arrow_type(field)
    decode = _DECODERS.get(field.data_type, _of_scalars(field.data_type))
    raw = decode(field_data, type_)
    column = _with_nulls(raw, field_data.valid_data, count)
    if field.is_dynamic:
        nothing = pc.equal(column, pa.scalar(NO_DYNAMIC_FIELDS, pa.binary()))
        return pc.if_else(nothing, pa.scalar(None, pa.binary()), column)
    return column if column.type == type_ else column.cast(type_)


def _with_nulls(values: pa.Array, valid_data: Sequence[bool], count: int) -> pa.Array:
    """Insert nulls. Servers send a placeholder for a null, or no value."""
    if not valid_data:
        return values
    valid = np.array(valid_data, dtype=bool)
    positions = np.arange(count) if len(values) == count else np.cumsum(valid) - 1
    return values.take(pa.array(positions, mask=~valid))


def _scalars(field_data: Any, data_type: DataType) -> Any:
    return getattr(field_data.scalars, _MEMBERS[data_type]).data


def _of_scalars(data_type: DataType) -> Decoder:
    def decode(field_data: Any, type_: pa.DataType) -> pa.Array:
        values = _scalars(field_data, data_type)
        if pa.types.is_string(type_) or pa.types.is_binary(type_):
            return pa.array(list(values), type_)
        return pa.array(np.array(values, dtype=type_.to_pandas_dtype()), type_)

    return decode


def _of_timestamps(field_data: Any, type_: pa.DataType) -> pa.Array:
    """Return times, or texts that are cast after nulls are inserted: text under a null is empty."""
    if field_data.scalars.HasField("timestamptz_data"):
        micros = np.array(field_data.scalars.timestamptz_data.data, dtype=np.int64)
        return pa.array(micros).cast(type_)
    texts = pa.array(list(field_data.scalars.string_data.data), pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _of_geometry(field_data: Any, type_: pa.DataType) -> pa.Array:
    scalars = field_data.scalars
    is_wkt = scalars.HasField("geometry_wkt_data")
    texts = scalars.geometry_wkt_data.data if is_wkt else scalars.string_data.data
    return pa.array(list(texts), type_)


def _of_arrays(field_data: Any, type_: pa.DataType) -> pa.Array:
    rows = field_data.scalars.array_data.data
    values = [_elements(row) for row in rows]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(elements) for elements in values], out=offsets[1:])
    flat = [element for elements in values for element in elements]
    return pa.ListArray.from_arrays(offsets, pa.array(flat, type_.value_type), type=type_)


def _elements(row: Any) -> Sequence[Any]:
    kind = row.WhichOneof("data")
    return () if kind is None else getattr(row, kind).data


def _of_float_vectors(field_data: Any, type_: pa.DataType) -> pa.Array:
    values = np.array(field_data.vectors.float_vector.data, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), type=type_)


def _of_int8_vectors(field_data: Any, type_: pa.DataType) -> pa.Array:
    values = np.frombuffer(field_data.vectors.int8_vector, dtype=np.int8)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), type=type_)


def _of_byte_vectors(member: str) -> Decoder:
    def decode(field_data: Any, type_: pa.DataType) -> pa.Array:
        raw = getattr(field_data.vectors, member)
        return pa.Array.from_buffers(type_, len(raw) // type_.byte_width, [None, pa.py_buffer(raw)])

    return decode


def _of_sparse_vectors(field_data: Any, type_: pa.DataType) -> pa.Array:
    return pa.array(list(field_data.vectors.sparse_float_vector.contents), type_)


_DECODERS: dict[DataType, Decoder] = {
    DataType.TIMESTAMPTZ: _of_timestamps,
    DataType.GEOMETRY: _of_geometry,
    DataType.ARRAY: _of_arrays,
    DataType.FLOAT_VECTOR: _of_float_vectors,
    DataType.INT8_VECTOR: _of_int8_vectors,
    DataType.SPARSE_FLOAT_VECTOR: _of_sparse_vectors,
    **{data_type: _of_byte_vectors(member) for data_type, member in BYTE_VECTOR_MEMBERS.items()},
}
