"""Generated collections: every field type that the embedded engine accepts, and rows for them.

The rows go in through pymilvus; what the archive should hold of them is worked out here, without
the code that is tested.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pymilvus import CollectionSchema, DataType, MilvusClient

from backups.archive.columns import arrow_schema
from backups.archive.description import CollectionDescription
from tests.milvus.rooms import DIMENSION

NASTY = ["", '"', "'", "\\", '\\"', "\n", "\r\n", "\t", "\0", "\x1f", "é", "\U0001f600", "\uffff"]
LONGEST = 200

texts = st.sampled_from(NASTY) | st.text(max_size=8)
floats = st.floats(width=32)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, documents, max_size=3)
geometries = st.sampled_from(["POINT (1 2)", "POINT(3 4.5)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"])
instants = st.datetimes(timezones=st.just(UTC))
sparse = st.dictionaries(
    st.integers(0, 2**32 - 2), st.floats(0.0625, 2.0**90, width=32), min_size=1, max_size=4
)


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _text(value: str) -> str:
    return value


def _instant(value: datetime) -> str:
    return value.isoformat()


def _document(value: Any) -> bytes:
    """The engine keeps the text of a JSON string without its quotes."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()


def _pairs(value: dict[int, float]) -> bytes:
    return b"".join(struct.pack("<If", index, value[index]) for index in sorted(value))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of field: how to declare it, values for it, how they are sent and kept."""

    data_type: DataType
    values: st.SearchStrategy[Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    sent: Callable[[Any], Any] = lambda value: value
    kept: Callable[[Any], Any] = lambda value: value
    may_be_null: bool = True
    default: Any = None


def _array(element: DataType, values: st.SearchStrategy[Any], **options: Any) -> Kind:
    limits = {"element_type": element, "max_capacity": 5, **options}
    return Kind(data_type=DataType.ARRAY, values=st.lists(values, max_size=5), options=limits)


KINDS = {
    "bool": Kind(data_type=DataType.BOOL, values=st.booleans(), default=True),
    "int8": Kind(data_type=DataType.INT8, values=integers(8), default=-7),
    "int16": Kind(data_type=DataType.INT16, values=integers(16), default=300),
    "int32": Kind(data_type=DataType.INT32, values=integers(32), default=-70000),
    "int64": Kind(data_type=DataType.INT64, values=integers(64), default=2**40),
    "float": Kind(data_type=DataType.FLOAT, values=floats, default=0.5),
    "double": Kind(data_type=DataType.DOUBLE, values=st.floats(), default=0.1),
    "varchar": Kind(
        data_type=DataType.VARCHAR, values=texts, options={"max_length": LONGEST}, default="d\n"
    ),
    "json": Kind(
        data_type=DataType.JSON,
        values=objects | st.lists(documents, max_size=3) | texts,
        sent=lambda value: json.dumps(value) if isinstance(value, str) else value,
        kept=_document,
    ),
    "geometry": Kind(data_type=DataType.GEOMETRY, values=geometries),
    "instant": Kind(data_type=DataType.TIMESTAMPTZ, values=instants, sent=_instant),
    "sparse": Kind(
        data_type=DataType.SPARSE_FLOAT_VECTOR, values=sparse, kept=_pairs, may_be_null=False
    ),
    "bools": _array(DataType.BOOL, st.booleans()),
    "int8s": _array(DataType.INT8, integers(8)),
    "int16s": _array(DataType.INT16, integers(16)),
    "int32s": _array(DataType.INT32, integers(32)),
    "int64s": _array(DataType.INT64, integers(64)),
    "floats": _array(DataType.FLOAT, floats),
    "doubles": _array(DataType.DOUBLE, st.floats()),
    "varchars": _array(DataType.VARCHAR, texts, max_length=LONGEST),
}
vectors = st.lists(floats, min_size=DIMENSION, max_size=DIMENSION)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated:
    """A schema and the rows of its partitions."""

    key: DataType
    nullable: frozenset[str]
    names: tuple[str, ...]
    dynamic: bool
    partitions: dict[str, list[dict[str, Any]]]

    def schema(self, client: MilvusClient) -> CollectionSchema:
        schema = client.create_schema(enable_dynamic_field=self.dynamic)
        limits = {"max_length": LONGEST} if self.key is DataType.VARCHAR else {}
        schema.add_field("id", self.key, is_primary=True, **limits)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        for name in self.names:
            kind, nullable = KINDS[name], name in self.nullable
            options = {**kind.options, "nullable": nullable}
            if kind.default is not None and not nullable:
                options["default_value"] = kind.default
            schema.add_field(name, kind.data_type, **options)
        return schema

    def sent(self, row: dict[str, Any]) -> dict[str, Any]:
        given = {
            name: None if row[name] is None else KINDS[name].sent(row[name]) for name in self.names
        }
        return {"id": row["id"], "vector": row["vector"], **given, **row["dynamic"]}

    def kept(self, collection: CollectionDescription) -> dict[str, pa.RecordBatch]:
        """What the archive should hold of each partition that has rows."""
        schema = arrow_schema(collection)
        return {
            partition: pa.record_batch(
                [
                    pa.array([self._kept(row, field.name) for row in rows], field.type)
                    for field in schema
                ],
                schema=schema,
            )
            for partition, rows in self.partitions.items()
            if rows
        }

    def _kept(self, row: dict[str, Any], name: str) -> Any:
        if name == "$meta":
            dynamic = row["dynamic"]
            return json.dumps(dynamic, sort_keys=True).encode() if dynamic else None
        value = row[name]
        return value if value is None or name not in KINDS else KINDS[name].kept(value)


@st.composite
def collections(draw: st.DrawFn) -> Generated:
    key = draw(st.sampled_from([DataType.INT64, DataType.VARCHAR]))
    names = tuple(draw(st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=7)))
    nullable = frozenset(n for n in names if KINDS[n].may_be_null and draw(st.booleans()))
    dynamic = draw(st.booleans())
    of_key = texts if key is DataType.VARCHAR else integers(64)
    ids = draw(st.lists(of_key, unique=True, max_size=12))
    rows = [row_of(draw, each, names, nullable, dynamic) for each in ids]
    half = draw(st.integers(0, len(rows)))
    partitions = {"_default": rows[:half], "other": rows[half:]}
    return Generated(
        key=key, names=names, nullable=nullable, dynamic=dynamic, partitions=partitions
    )


def row_of(
    draw: st.DrawFn, key: Any, names: tuple[str, ...], nullable: frozenset[str], dynamic: bool
) -> dict[str, Any]:
    values = {
        name: draw(st.none() | KINDS[name].values if name in nullable else KINDS[name].values)
        for name in names
    }
    more = {f"x{k}": v for k, v in draw(objects).items()} if dynamic else {}
    return {"id": key, "vector": draw(vectors), **values, "dynamic": more}
