"""The Arrow type of each Milvus field, chosen so that every bit is restored.

- VARCHAR, TEXT and GEOMETRY (as WKT) are UTF-8 text.
- JSON and `$meta` are the exact bytes of the server, as binary, because servers do not guarantee
  valid UTF-8.
- TIMESTAMPTZ is microseconds since 1970 in UTC.
- FLOAT_VECTOR and INT8_VECTOR are lists of fixed length; BINARY, FLOAT16 and BFLOAT16 vectors are
  bytes of fixed length, as Milvus has them on the wire.
- SPARSE_FLOAT_VECTOR is Milvus' own bytes: pairs of a uint32 index and a float32 value, both
  little-endian.
- ARRAY is a list of its elements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pyarrow as pa

from backups.archive.codec import FormatError
from backups.archive.description import (
    CollectionDescription,
    DataType,
    FieldDescription,
    dimension_of,
)

_SCALARS: dict[DataType, pa.DataType] = {
    DataType.BOOL: pa.bool_(),
    DataType.INT8: pa.int8(),
    DataType.INT16: pa.int16(),
    DataType.INT32: pa.int32(),
    DataType.INT64: pa.int64(),
    DataType.FLOAT: pa.float32(),
    DataType.DOUBLE: pa.float64(),
    DataType.VARCHAR: pa.string(),
    DataType.TEXT: pa.string(),
    DataType.GEOMETRY: pa.string(),
    DataType.JSON: pa.binary(),
    DataType.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    DataType.SPARSE_FLOAT_VECTOR: pa.binary(),
}

_VECTORS: dict[DataType, Callable[[int], pa.DataType]] = {
    DataType.FLOAT_VECTOR: lambda dim: pa.list_(_element(pa.float32()), dim),
    DataType.INT8_VECTOR: lambda dim: pa.list_(_element(pa.int8()), dim),
    DataType.BINARY_VECTOR: lambda dim: pa.binary(dim // 8),
    DataType.FLOAT16_VECTOR: lambda dim: pa.binary(dim * 2),
    DataType.BFLOAT16_VECTOR: lambda dim: pa.binary(dim * 2),
}


ELEMENT_TYPES = frozenset(_SCALARS) - {DataType.SPARSE_FLOAT_VECTOR}


def arrow_schema(collection: CollectionDescription) -> pa.Schema:
    return pa.schema([arrow_field(field) for field in collection.columns])


def arrow_field(field: FieldDescription) -> pa.Field:
    return pa.field(field.name, arrow_type(field), nullable=field.nullable)


def arrow_type(field: FieldDescription) -> pa.DataType:
    if field.data_type in _VECTORS:
        return _VECTORS[field.data_type](dimension_of(field))
    if field.data_type is DataType.ARRAY:
        if field.element_type not in ELEMENT_TYPES:
            raise FormatError(f"field {field.name!r} is an ARRAY of {field.element_type}")
        return pa.list_(_element(_SCALARS[field.element_type]))
    return _SCALARS[field.data_type]


def fingerprint(schema: pa.Schema) -> str:
    """Return the SHA-256 of one line per column: name, type and nullability."""
    lines = (
        f"{field.name}\t{type_name(field.type)}\t{'nullable' if field.nullable else 'required'}\n"
        for field in schema
    )
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def type_name(type_: pa.DataType) -> str:
    """Return the name of a type in the archive format, because Arrow's names differ by release."""
    if pa.types.is_fixed_size_list(type_):
        return f"list<{type_name(type_.value_type)}>[{type_.list_size}]"
    if pa.types.is_list(type_):
        return f"list<{type_name(type_.value_type)}>"
    if pa.types.is_fixed_size_binary(type_):
        return f"bytes[{type_.byte_width}]"
    return _NAMES.get(type_) or str(type_)


def _element(type_: pa.DataType) -> pa.Field:
    """Name the element as Parquet does, so that a written schema is read unchanged."""
    return pa.field("element", type_, nullable=False)


_NAMES: dict[pa.DataType, str] = {
    pa.bool_(): "bool",
    pa.int8(): "int8",
    pa.int16(): "int16",
    pa.int32(): "int32",
    pa.int64(): "int64",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.timestamp("us", tz="UTC"): "timestamp[us, UTC]",
}
