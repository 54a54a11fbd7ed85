"""Description of a collection without its rows: everything needed to create it again.

Descriptions have an exact JSON form (`to_json`, `from_json`), which is part of the manifest.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any

from backups.archive.codec import FormatError, JsonModel
from backups.archive.scalars import Scalar

DYNAMIC_FIELD_NAME = "$meta"
BM25 = "BM25"

_DIMENSION = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)
"""Limited to the size of a half precision vector that Arrow can count."""


class DataType(enum.StrEnum):
    """Names of the Milvus types."""

    BOOL = "BOOL"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    VARCHAR = "VARCHAR"
    TEXT = "TEXT"
    JSON = "JSON"
    ARRAY = "ARRAY"
    GEOMETRY = "GEOMETRY"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    FLOAT_VECTOR = "FLOAT_VECTOR"
    BINARY_VECTOR = "BINARY_VECTOR"
    FLOAT16_VECTOR = "FLOAT16_VECTOR"
    BFLOAT16_VECTOR = "BFLOAT16_VECTOR"
    INT8_VECTOR = "INT8_VECTOR"
    SPARSE_FLOAT_VECTOR = "SPARSE_FLOAT_VECTOR"


class LoadStatus(enum.StrEnum):
    LOADED = "LOADED"
    NOT_LOADED = "NOT_LOADED"
    UNKNOWN = "UNKNOWN"
    """The server does not report the load state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FieldDescription(JsonModel):
    name: str
    data_type: DataType
    is_primary_key: bool = False
    auto_id: bool = False
    nullable: bool = False
    default: Scalar | None = None
    is_partition_key: bool = False
    is_clustering_key: bool = False
    is_dynamic: bool = False
    """True for `$meta`, which contains the values of a row beyond the schema."""
    is_function_output: bool = False
    """True if a function of the collection computes the field."""
    element_type: DataType | None = None
    """Type of the elements of an ARRAY."""
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """As returned by the server: dim, max_length, max_capacity, mmap.enabled, analyzer_params…"""
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionDescription(JsonModel):
    name: str
    type: str
    """Name in Milvus: BM25, TEXTEMBEDDING, …"""
    input_field_names: tuple[str, ...]
    output_field_names: tuple[str, ...]
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexDescription(JsonModel):
    field_name: str
    index_name: str
    params: Mapping[str, str]
    """All parameters: index_type, metric_type and those of the type."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadDescription(JsonModel):
    """Load state of a collection. If LOADED, empty `fields` and `partitions` mean all."""

    status: LoadStatus = LoadStatus.UNKNOWN
    fields: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    replicas: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionDescription(JsonModel):
    name: str
    fields: tuple[FieldDescription, ...]
    """Fields in the server's order, optionally including `$meta`."""
    description: str = ""
    functions: tuple[FunctionDescription, ...] = ()
    enable_dynamic_field: bool = False
    partitions: tuple[str, ...] = ("_default",)
    num_partitions: int | None = None
    """Buckets of the partition key, or None without such a key or if the number is unknown."""
    aliases: tuple[str, ...] = ()
    indexes: tuple[IndexDescription, ...] = ()
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    load: LoadDescription = LoadDescription()
    consistency_level: str | None = None
    shards: int | None = None

    @property
    def primary_key(self) -> FieldDescription:
        return next(field for field in self.fields if field.is_primary_key)

    @property
    def columns(self) -> tuple[FieldDescription, ...]:
        """The fields whose values are part of a backup, including `$meta`.

        Outputs of BM25 are left out, because servers refuse them in an insert and a full Milvus
        does not return them.
        """
        computed = {
            name
            for function in self.functions
            if function.type == BM25
            for name in function.output_field_names
        }
        listed = tuple(field for field in self.fields if field.name not in computed)
        if not self.enable_dynamic_field or any(field.is_dynamic for field in self.fields):
            return listed
        return (*listed, DYNAMIC_FIELD)


DYNAMIC_FIELD = FieldDescription(
    name=DYNAMIC_FIELD_NAME, data_type=DataType.JSON, is_dynamic=True, nullable=True
)


def default_of(field: FieldDescription) -> Any:
    return None if field.default is None else field.default.value


def dimension_of(field: FieldDescription) -> int:
    text = field.params.get("dim", "")
    if not _DIMENSION.fullmatch(text):
        raise FormatError(f"field {field.name!r} has no usable dim: {text!r}")
    if field.data_type is DataType.BINARY_VECTOR and int(text) % 8:
        raise FormatError(
            f"field {field.name!r}: dim {text} of a BINARY_VECTOR is no multiple of 8"
        )
    return int(text)
