"""A collection made from its description is described the same, and answers the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pymilvus import DataType, Function, FunctionType

from backups.archive.description import CollectionDescription, IndexDescription, LoadStatus
from backups.milvus.create import create, create_indexes, index_progress, load, loading, release
from backups.milvus.errors import MilvusNotFound, NotLoaded
from tests.milvus.rooms import DIMENSION, Room, by_partition, content, keys, row, unused_name

HNSW = IndexDescription(
    field_name="vector",
    index_name="vector",
    params={
        "index_type": "HNSW",
        "metric_type": "IP",
        "params": '{"M": 9, "efConstruction": 70}',
    },
)


@pytest.fixture
def indexed(room: Room) -> str:
    name = room.make()
    create_indexes(room.milvus, with_index(room, name, HNSW), name)
    room.tenant.insert(name, [row(key, float(key)) for key in range(20)])
    return name


def with_index(room: Room, name: str, index: IndexDescription) -> CollectionDescription:
    return dataclasses.replace(room.describe(name), indexes=(index,))


def texts(room: Room) -> str:
    """With a field that the server computes by BM25."""
    name, schema = unused_name(), room.tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    analyzer = {"tokenizer": "standard"}
    schema.add_field(
        "text", DataType.VARCHAR, max_length=99, enable_analyzer=True, analyzer_params=analyzer
    )
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["text"],
            output_field_names=["words"],
        )
    )
    room.tenant.create_collection(name, schema=schema)
    parameters = room.tenant.prepare_index_params()
    parameters.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    room.tenant.create_index(name, parameters)
    room.tenant.insert(name, [{"id": 1, "text": "grey goose"}, {"id": 2, "text": "red fox"}])
    return name


def keyed(room: Room) -> str:
    """With a partition key."""
    name, schema = unused_name(), room.tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tenant", DataType.VARCHAR, max_length=20, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    room.tenant.create_collection(name, schema=schema)
    room.tenant.insert(name, [row(key, tenant=f"t{key % 7}") for key in range(40)])
    return name


def revived(room: Room, name: str) -> str:
    """A copy with indexes, loaded as the original."""
    (scan,) = room.pin(name)
    copy = room.copy(scan)
    create_indexes(room.milvus, scan.collection, copy)
    load(room.milvus, copy, scan.collection.load)
    assert [*loading(room.milvus, copy, scan.collection.load)][-1:] in ([], [100])
    return copy


def comparable(room: Room, name: str) -> dict[str, Any]:
    return {**room.describe(name).to_json(), "name": None, "aliases": None}


def test_a_copy_is_described_as_the_original(room: Room, indexed: str) -> None:
    room.tenant.load_collection(indexed)
    room.tenant.alter_collection_properties(indexed, properties={"timezone": "Asia/Tokyo"})
    copy = revived(room, indexed)
    assert comparable(room, copy) == comparable(room, indexed)
    assert room.describe(copy).properties == {"timezone": "Asia/Tokyo"}


def test_indexes_keep_their_parameters(room: Room, indexed: str) -> None:
    assert room.describe(revived(room, indexed)).indexes == (HNSW,)


def test_loose_parameters_of_a_full_milvus_reach_the_embedded_engine(room: Room) -> None:
    loose = {"index_type": "HNSW", "metric_type": "IP", "M": "9", "efConstruction": "70"}
    index = dataclasses.replace(HNSW, params=loose)
    create_indexes(room.milvus, with_index(room, name := room.make(), index), name)
    assert room.describe(name).indexes == (HNSW,)


def test_what_was_not_loaded_stays_so(room: Room, indexed: str) -> None:
    room.tenant.release_collection(indexed)
    copy = revived(room, indexed)
    assert room.describe(copy).load.status is LoadStatus.NOT_LOADED
    assert room.pinned(copy)


def test_index_progress_ends_at_all_rows(room: Room, indexed: str) -> None:
    assert index_progress(room.milvus, revived(room, indexed)) == (20, 20)


def test_creating_indexes_again_changes_nothing(room: Room, indexed: str) -> None:
    create_indexes(room.milvus, room.describe(indexed), indexed)
    assert len(room.describe(indexed).indexes) == 1


def test_aliases_are_told_by_name_and_by_alias(room: Room, indexed: str) -> None:
    room.milvus.create_alias(alias := unused_name(), indexed)
    assert room.describe(alias) == room.describe(indexed)
    assert room.describe(indexed).aliases == (alias,)
    room.milvus.drop_alias(alias)
    room.milvus.drop_alias(alias)
    assert room.describe(indexed).aliases == ()


def test_an_alias_moves_in_one_step(room: Room, indexed: str) -> None:
    room.milvus.create_alias(alias := unused_name(), indexed)
    other = room.make()
    room.milvus.alter_alias(alias, other)
    assert room.describe(alias).name == other


def test_what_bm25_computes_is_not_in_the_backup_and_is_computed_again(room: Room) -> None:
    name = texts(room)
    (scan,) = room.pin(name)
    assert scan.collection.fields[-1].is_function_output
    assert next(scan.batches()).batch.schema.names == ["id", "text"]
    copy = revived(room, name)
    room.tenant.load_collection(copy)
    (hits,) = room.tenant.search(copy, ["goose"], anns_field="words", limit=1)
    assert [hit["id"] for hit in hits] == [1]


def test_functions_and_analyzers_come_back(room: Room) -> None:
    name = texts(room)
    copy = revived(room, name)
    assert comparable(room, copy) == comparable(room, name)
    assert room.describe(copy).fields[1].params["analyzer_params"] == '{"tokenizer": "standard"}'


def test_a_partition_key_decides_again(room: Room) -> None:
    name = keyed(room)
    copy = revived(room, name)
    assert comparable(room, copy) == comparable(room, name)
    assert by_partition(room.pinned(copy)) == by_partition(room.pinned(name))
    assert by_partition(room.wire(copy)) == by_partition(room.pinned(name))


def test_generated_keys_are_kept_and_new_ones_stand_above(room: Room) -> None:
    name = room.make(auto_id=True)
    room.tenant.insert(name, [{"vector": [1.0] * DIMENSION}] * 5)
    copy = revived(room, name)
    given = keys(room.pinned(name))
    assert keys(room.pinned(copy)) == given
    new = room.tenant.insert(copy, [{"vector": [2.0] * DIMENSION}] * 5)["ids"]
    assert min(new) > max(given)


def test_a_missing_vector_is_read_as_the_zeros_that_the_engine_keeps(room: Room) -> None:
    name, schema = unused_name(), room.tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION, nullable=True)
    room.tenant.create_collection(name, schema=schema)
    room.tenant.insert(name, [row(1, 1.0), {"id": 2, "vector": None}])
    (scan,) = room.pin(name)
    assert next(scan.batches()).batch["vector"].to_pylist() == [[1.0] * 4, [0.0] * 4]
    assert content(room.pinned(room.copy(scan))) == content(scan.batches())


def test_collections_of_the_console_are_within_its_reach(room: Room) -> None:
    (scan,) = room.pin(room.make())
    create(room.milvus, scan.collection, name := f"_vbase_{unused_name()}")
    assert name in room.milvus.collections()
    assert name not in room.tenant.list_collections()
    room.milvus.rename(name, other := unused_name())
    assert room.tenant.has_collection(other)


def test_what_is_gone_is_gone_already(room: Room) -> None:
    room.milvus.drop(name := room.make())
    room.milvus.drop(name)
    assert not room.milvus.has(name)
    with pytest.raises(MilvusNotFound, match=name):
        room.describe(name)


def test_a_released_collection_is_not_read_over_the_wire(room: Room, indexed: str) -> None:
    release(room.milvus, indexed)
    with pytest.raises(NotLoaded, match="Load the collection first"):
        room.wire(indexed)
