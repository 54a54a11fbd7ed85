"""What a collection is, without its rows: everything needed to make it again.

These are values with an exact JSON form (`to_json`, `from_json`); the manifest holds them, the
Milvus readers make them and the restore reads them.
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
"""So many bytes of a half precision vector Arrow can still count."""


class DataType(enum.StrEnum):
    """Milvus' own names."""

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
    """The server does not tell."""


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
    """This is `$meta`, which holds what rows carry beyond the schema."""
    is_function_output: bool = False
    """The server computes it from other fields, by one of the functions."""
    element_type: DataType | None = None
    """Of an ARRAY."""
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """As the server spells them: dim, max_length, max_capacity, mmap.enabled, analyzer_params…"""
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionDescription(JsonModel):
    name: str
    type: str
    """Milvus' name: BM25, TEXTEMBEDDING, …"""
    input_field_names: tuple[str, ...]
    output_field_names: tuple[str, ...]
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexDescription(JsonModel):
    field_name: str
    index_name: str
    params: Mapping[str, str]
    """All of them: index_type, metric_type and what the type wants."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadDescription(JsonModel):
    """What answered searches; empty `fields` and `partitions` of a LOADED one mean all."""

    status: LoadStatus = LoadStatus.UNKNOWN
    fields: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    replicas: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionDescription(JsonModel):
    name: str
    fields: tuple[FieldDescription, ...]
    """In the server's order. `$meta` may stand among them."""
    description: str = ""
    functions: tuple[FunctionDescription, ...] = ()
    enable_dynamic_field: bool = False
    partitions: tuple[str, ...] = ("_default",)
    num_partitions: int | None = None
    """How many buckets the partition key has; None without such a key or where nobody knows."""
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
        """The fields whose values a backup holds, and `$meta` where only the flag tells of it.

        What BM25 computes is left out: no server takes it back, and a full Milvus does not give it.
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
    """The plain Python value of a field's default, or None."""
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
