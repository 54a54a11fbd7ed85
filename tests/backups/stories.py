"""Generated lives of collections: what they are made of, and what happens to them before a backup.

The fields and rows are those of `tests.milvus.generated`; here come keys that the server gives,
partition keys, functions, deletes and upserts, aliases, indexes, properties and load states.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pymilvus import CollectionSchema, DataType, Function, FunctionType, MilvusClient

from backups.archive.description import CollectionDescription
from backups.milvus.keys import literal
from tests.milvus.generated import NASTY, Generated, collections, insert, requests, row_of

INDEXES: list[dict[str, Any]] = [
    {"index_type": "FLAT", "metric_type": "L2"},
    {"index_type": "HNSW", "metric_type": "COSINE", "params": {"M": 9, "efConstruction": 70}},
    {"index_type": "IVF_FLAT", "metric_type": "IP", "params": {"nlist": 7}},
]
PROPERTIES = [{}, {"timezone": "Asia/Tokyo"}, {"mmap.enabled": "true"}]
LOAD_STATES = ["as it is", "loaded", "released"]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    made: Generated
    has_auto_ids: bool
    has_partition_key: bool
    has_function: bool
    deleted: tuple[Any, ...]
    upserted: tuple[Row, ...]
    """New values for keys that are there."""
    aliases: int
    index: dict[str, Any] | None
    properties: dict[str, str]
    load_state: str

    # its life

    def live(self, client: MilvusClient, name: str) -> None:
        client.create_collection(name, schema=self._schema(client))
        if not self.has_partition_key:
            client.create_partition(name, "other")
        for partition, rows in self.made.partitions.items():
            for together in requests(rows):
                sent = [self._sent(row) for row in together]
                insert(client, name, sent, **self._into(partition))
        self._change(client, name)
        for number in range(self.aliases):
            client.create_alias(name, f"{name}_alias_{number}")
        if self.properties:
            client.alter_collection_properties(name, properties=self.properties)
        self._index_and_load(client, name)

    def _change(self, client: MilvusClient, name: str) -> None:
        if self.has_auto_ids:
            return
        if self.deleted:
            listed = ", ".join(_literal(key) for key in self.deleted)
            client.delete(name, filter=f"id in [{listed}]")
        for row in self.upserted:
            into = self._into(self._partition_of(row["id"]))
            client.upsert(name, [self._sent(row)], **into)

    def _index_and_load(self, client: MilvusClient, name: str) -> None:
        if self.index is not None:
            index = client.prepare_index_params()
            index.add_index("vector", **self.index)
            client.create_index(name, index)
        if self.load_state == "loaded":
            client.load_collection(name)
        if self.load_state == "released":
            client.release_collection(name)

    def _schema(self, client: MilvusClient) -> CollectionSchema:
        schema = self.made.schema(client)
        if self.has_auto_ids:
            schema.primary_field.auto_id = schema._auto_id = True
        if self.has_partition_key:
            schema.add_field("tenant", DataType.VARCHAR, max_length=99, is_partition_key=True)
        if self.has_function:
            schema.add_field("text", DataType.VARCHAR, max_length=99, enable_analyzer=True)
            schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
            schema.add_function(
                Function(
                    name="bm25",
                    function_type=FunctionType.BM25,
                    input_field_names=["text"],
                    output_field_names=["words"],
                )
            )
        return schema

    def _sent(self, row: Row) -> Row:
        sent = {**self.made.sent(row), **self._more(row)}
        if self.has_auto_ids:
            del sent["id"]
        return sent

    def _more(self, row: Row) -> Row:
        number = len(repr(row["id"]))
        more = {"tenant": f"tenant {number}"} if self.has_partition_key else {}
        return {**more, "text": f"grey goose {number}"} if self.has_function else more

    def _into(self, partition: str) -> dict[str, str]:
        return {} if self.has_partition_key else {"partition_name": partition}

    def _partition_of(self, key: Any) -> str:
        there = self.made.partitions.items()
        return next(name for name, rows in there if any(row["id"] == key for row in rows))

    # what must be there in the end

    def kept(self, collection: CollectionDescription) -> list[pa.RecordBatch]:
        """Compute the kept rows without the tested code. Keys that the server generates are
        unknown.
        """
        rows = {partition: list(self._last(partition)) for partition in self.made.partitions}
        changed = dataclasses.replace(self.made, partitions=rows)
        return list(changed.kept(collection).values())

    def _last(self, partition: str) -> Iterator[Row]:
        newest = {row["id"]: row for row in self.upserted}
        for row in self.made.partitions[partition]:
            if row["id"] in newest or row["id"] not in self.deleted:
                last = newest.get(row["id"], row)
                # An upsert that is not partial replaces the whole row, dynamic fields included.
                yield {**last, **self._more(last)}


@st.composite
def stories(draw: st.DrawFn) -> Story:
    made = draw(collections())
    keys = [row["id"] for rows in made.partitions.values() for row in rows]
    some = st.lists(st.sampled_from(keys), unique=True, max_size=4) if keys else st.just([])
    upserted = [row_of(draw, key, made, is_whole=True) for key in draw(some)]
    index = draw(st.none() | st.sampled_from(INDEXES))
    return Story(
        made=made,
        has_auto_ids=made.key is DataType.INT64 and draw(st.booleans()),
        has_partition_key=draw(st.booleans()),
        has_function=draw(st.booleans()),
        deleted=tuple(draw(some)),
        upserted=tuple(upserted),
        aliases=draw(st.integers(0, 2)),
        index=index if _can_be_built(index, made, upserted) else None,
        properties=draw(st.sampled_from(PROPERTIES)),
        load_state=draw(st.sampled_from(LOAD_STATES)),
    )


def _can_be_built(index: dict[str, Any] | None, made: Generated, upserted: list[Row]) -> bool:
    """Clusters are computed from finite numbers only."""
    rows = [*upserted, *(row for rows in made.partitions.values() for row in rows)]
    finite = all(math.isfinite(number) for row in rows for number in row["vector"])
    return finite or index is None or index["index_type"] != "IVF_FLAT"


def nasty_keys(keys: Sequence[str] = NASTY) -> Story:
    """Every key that ever broke an expression."""
    rows = [{"id": key, "vector": [0.5] * 4, "dynamic": {}} for key in keys]
    story = plain(rows)
    return dataclasses.replace(story, deleted=tuple(keys[1:5:3]), upserted=tuple(rows[:2]))


def with_rows(number: int) -> Story:
    """Rows of which every second leaves out all optional values."""
    given = {"int64": 7, "varchar": None, "sparse": {3: 0.5}}
    rows = [
        {"id": str(n), "vector": [float(n)] * 4, "dynamic": {}, **({} if n % 2 else given)}
        for n in range(1, number + 1)
    ]
    return plain(rows, names=tuple(given), defaults={"int64": 0, "varchar": ""})


def plain(
    rows: list[Row], names: tuple[str, ...] = (), defaults: dict[str, Any] | None = None
) -> Story:
    made = Generated(
        key=DataType.VARCHAR,
        nullable=frozenset(names),
        names=names,
        dynamic=False,
        partitions={"_default": rows, "other": []},
        defaults=defaults or {},
    )
    return Story(
        made=made,
        has_auto_ids=False,
        has_partition_key=False,
        has_function=False,
        deleted=(),
        upserted=(),
        aliases=1,
        index=INDEXES[1],
        properties={},
        load_state="released",
    )


def _literal(key: Any) -> str:
    return literal(key) if isinstance(key, str) else str(key)
