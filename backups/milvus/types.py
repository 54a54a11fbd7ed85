from __future__ import annotations

from typing import Any

from pymilvus.grpc_gen import schema_pb2

from backups.archive.description import DataType
from backups.milvus.errors import UnsupportedFeature

_PROTOCOL_NAMES: dict[DataType, str] = {
    DataType.BOOL: "Bool",
    DataType.INT8: "Int8",
    DataType.INT16: "Int16",
    DataType.INT32: "Int32",
    DataType.INT64: "Int64",
    DataType.FLOAT: "Float",
    DataType.DOUBLE: "Double",
    DataType.VARCHAR: "VarChar",
    DataType.TEXT: "Text",
    DataType.JSON: "JSON",
    DataType.ARRAY: "Array",
    DataType.GEOMETRY: "Geometry",
    DataType.TIMESTAMPTZ: "Timestamptz",
    DataType.FLOAT_VECTOR: "FloatVector",
    DataType.BINARY_VECTOR: "BinaryVector",
    DataType.FLOAT16_VECTOR: "Float16Vector",
    DataType.BFLOAT16_VECTOR: "BFloat16Vector",
    DataType.INT8_VECTOR: "Int8Vector",
    DataType.SPARSE_FLOAT_VECTOR: "SparseFloatVector",
}
NUMBERS: dict[DataType, int] = {
    data_type: schema_pb2.DataType.Value(name) for data_type, name in _PROTOCOL_NAMES.items()
}
SCALAR_MEMBERS: dict[DataType, str] = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.TEXT: "string_data",
}
"""Member of `ScalarField` with the values, for types that are sent and answered alike."""
BYTE_VECTOR_MEMBERS: dict[DataType, str] = {
    DataType.BINARY_VECTOR: "binary_vector",
    DataType.FLOAT16_VECTOR: "float16_vector",
    DataType.BFLOAT16_VECTOR: "bfloat16_vector",
}
"""Member of `VectorField` with the bytes of all vectors."""
_DATA_TYPES = {number: data_type for data_type, number in NUMBERS.items()}


def data_type_of(number: int, field_name: str) -> DataType:
    if number not in _DATA_TYPES:
        is_named = number in schema_pb2.DataType.values()
        name = schema_pb2.DataType.Name(number) if is_named else str(number)
        raise UnsupportedFeature(
            f"Field {field_name!r} has the type {name}, which backups do not support. "
            "Leave its collection out."
        )
    return _DATA_TYPES[number]


def name_of_number(enum: Any, number: int, owner: str) -> str:
    """Return the name of an enum's number. `owner` begins the message for an unknown number."""
    if number not in enum.values():
        raise UnsupportedFeature(
            f"{owner} has the {enum.DESCRIPTOR.name} {number}, which backups do not support. Leave "
            "the collection out."
        )
    return str(enum.Name(number))
