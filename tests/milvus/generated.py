"""Generated collections: every field type that the embedded engine accepts, and rows for them.

The rows go in through pymilvus; what the archive should hold of them is worked out here, without
the code that is tested. A field that a row leaves out is not in its dictionary: the server then
fills in the default, or null.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from pymilvus import CollectionSchema, DataType, MilvusClient
from pymilvus.client.prepare import Prepare

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
    defaults: tuple[Any, ...] = ()


def _array(element: DataType, values: st.SearchStrategy[Any], **options: Any) -> Kind:
    limits = {"element_type": element, "max_capacity": 5, **options}
    return Kind(data_type=DataType.ARRAY, values=st.lists(values, max_size=5), options=limits)


KINDS = {
    "bool": Kind(data_type=DataType.BOOL, values=st.booleans(), defaults=(True, False)),
    "int8": Kind(data_type=DataType.INT8, values=integers(8), defaults=(-7, 0)),
    "int16": Kind(data_type=DataType.INT16, values=integers(16), defaults=(300, 0)),
    "int32": Kind(data_type=DataType.INT32, values=integers(32), defaults=(-70000, 0)),
    "int64": Kind(data_type=DataType.INT64, values=integers(64), defaults=(2**40, 0)),
    "float": Kind(data_type=DataType.FLOAT, values=floats, defaults=(0.5, 0.0)),
    "double": Kind(data_type=DataType.DOUBLE, values=st.floats(), defaults=(0.1, 0.0)),
    "varchar": Kind(
        data_type=DataType.VARCHAR,
        values=texts,
        options={"max_length": LONGEST},
        defaults=("d\n", ""),
    ),
    "json": Kind(
        data_type=DataType.JSON,
        values=objects | st.lists(documents, max_size=3) | texts,
        sent=lambda value: json.dumps(value) if isinstance(value, str) else value,
        kept=_document,
    ),
    "geometry": Kind(data_type=DataType.GEOMETRY, values=geometries, defaults=("POINT (9 9)",)),
    "instant": Kind(
        data_type=DataType.TIMESTAMPTZ,
        values=instants,
        sent=_instant,
        defaults=(datetime(2026, 3, 1, 12, tzinfo=UTC),),
    ),
    "sparse": Kind(data_type=DataType.SPARSE_FLOAT_VECTOR, values=sparse, kept=_pairs),
    "bools": _array(DataType.BOOL, st.booleans()),
    "int8s": _array(DataType.INT8, integers(8)),
    "int16s": _array(DataType.INT16, integers(16)),
    "int32s": _array(DataType.INT32, integers(32)),
    "int64s": _array(DataType.INT64, integers(64)),
    "floats": _array(DataType.FLOAT, floats),
    "doubles": _array(DataType.DOUBLE, st.floats()),
    "varchars": _array(DataType.VARCHAR, texts, max_length=LONGEST),
}
NULL_BY_LEAVING_OUT = frozenset(["sparse"])
"""The engine knows their null only as a field that a whole request does not send."""
vectors = st.lists(floats, min_size=DIMENSION, max_size=DIMENSION)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated:
    """A schema and the rows of its partitions."""

    key: DataType
    nullable: frozenset[str]
    names: tuple[str, ...]
    dynamic: bool
    partitions: dict[str, list[dict[str, Any]]]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def schema(self, client: MilvusClient) -> CollectionSchema:
        schema = client.create_schema(enable_dynamic_field=self.dynamic)
        limits = {"max_length": LONGEST} if self.key is DataType.VARCHAR else {}
        schema.add_field("id", self.key, is_primary=True, **limits)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        for name in self.names:
            kind = KINDS[name]
            options = {**kind.options, "nullable": name in self.nullable}
            if name in self.defaults:
                options["default_value"] = kind.sent(self.defaults[name])
            schema.add_field(name, kind.data_type, **options)
        return schema

    def sent(self, row: dict[str, Any]) -> dict[str, Any]:
        given = {
            name: None if row[name] is None else KINDS[name].sent(row[name])
            for name in self.names
            if name in row
        }
        return {"id": row["id"], "vector": row["vector"], **given, **row["dynamic"]}

    def kept(self, collection: CollectionDescription) -> dict[str, pa.RecordBatch]:
        """Return the rows that the archive must contain, for each partition with rows."""
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
        value = row.get(name)
        if value is None:
            value = self.defaults.get(name)  # also where a null was sent
        return value if value is None or name not in KINDS else KINDS[name].kept(value)


def requests(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows as they may be sent together."""
    groups: dict[frozenset[str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(NULL_BY_LEAVING_OUT.intersection(row), []).append(row)
    yield from groups.values()


def insert(client: MilvusClient, name: str, rows: list[dict[str, Any]], **into: str) -> None:
    """As pymilvus sends them, but for a column of nothing but missing sparse vectors."""
    made = Prepare.row_insert_param

    def without_it(*arguments: Any, **options: Any) -> Any:
        request = made(*arguments, **options)
        kept = [each for each in request.fields_data if not _is_missing(each)]
        del request.fields_data[:]
        request.fields_data.extend(kept)
        return request

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepare, "row_insert_param", without_it)
        client.insert(name, rows, **into)


def _is_missing(column: Any) -> bool:
    is_sparse = column.type == DataType.SPARSE_FLOAT_VECTOR
    return is_sparse and bool(column.valid_data) and not any(column.valid_data)


@st.composite
def collections(draw: st.DrawFn) -> Generated:
    key = draw(st.sampled_from([DataType.INT64, DataType.VARCHAR]))
    names = tuple(draw(st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=7)))
    shape = {
        "key": key,
        "names": names,
        "nullable": frozenset(name for name in names if draw(st.booleans())),
        "dynamic": draw(st.booleans()),
        "defaults": {
            name: draw(st.sampled_from(KINDS[name].defaults))
            for name in names
            if KINDS[name].defaults and draw(st.booleans())
        },
    }
    empty = Generated(**shape, partitions={})
    of_key = texts if key is DataType.VARCHAR else integers(64)
    ids = draw(st.lists(of_key, unique=True, max_size=12))
    rows = [row_of(draw, each, empty) for each in ids]
    half = draw(st.integers(0, len(rows)))
    return Generated(**shape, partitions={"_default": rows[:half], "other": rows[half:]})


def row_of(draw: st.DrawFn, key: Any, made: Generated, *, is_whole: bool = False) -> dict[str, Any]:
    """`is_whole`: it leaves no field out, as an upsert that leaves nothing of what was there."""
    values = {
        name: draw(_values(name, made))
        for name in made.names
        if is_whole or not (_may_be_left_out(name, made) and draw(st.booleans()))
    }
    more = {f"x{k}": v for k, v in draw(objects).items()} if made.dynamic else {}
    return {"id": key, "vector": draw(vectors), **values, "dynamic": more}


def _values(name: str, made: Generated) -> st.SearchStrategy[Any]:
    may_be_null = name in made.nullable and name not in NULL_BY_LEAVING_OUT
    return st.none() | KINDS[name].values if may_be_null else KINDS[name].values


def _may_be_left_out(name: str, made: Generated) -> bool:
    return name in made.nullable or name in made.defaults
