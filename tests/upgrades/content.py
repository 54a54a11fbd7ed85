"""Data of every kind that an engine holds, with deletes, replaced and unflushed rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymilvus import DataType, Function, FunctionType, MilvusClient

EVERYTHING = "everything"
NAMED = "named by text"
RELEASED = "released"
OTHER_DATABASE = "second"
UNFLUSHED = range(500, 700)
_random = np.random.default_rng(7)


def fill(client: MilvusClient) -> None:
    _fill_everything(client)
    _fill_keys_with_quotes(client)
    _fill_released(client)
    client.create_database(OTHER_DATABASE)
    client.use_database(OTHER_DATABASE)
    _fill_released(client)
    client.use_database("default")


def content(client: MilvusClient) -> dict[str, Any]:
    """All rows by key, load states, aliases and partitions of all collections."""
    found = {}
    for database in sorted(client.list_databases()):
        client.use_database(database)
        for name in sorted(client.list_collections()):
            state = str(client.get_load_state(name)["state"])
            if state == "NotLoad":
                client.load_collection(name)
            found[f"{database}/{name}"] = {
                "loaded": state,
                "partitions": sorted(client.list_partitions(name)),
                "aliases": sorted(client.list_aliases(name)["aliases"]),
                "indexes": sorted(client.list_indexes(name)),
                "rows": _rows(client, name),
            }
            if state == "NotLoad":
                client.release_collection(name)
    client.use_database("default")
    return found


def nearest(client: MilvusClient, key: int) -> int:
    (row,) = client.query(EVERYTHING, filter=f"id == {key}", output_fields=["vector"])
    (hits,) = client.search(
        EVERYTHING, [[float(number) for number in row["vector"]]], anns_field="vector", limit=1
    )
    return int(hits[0]["id"])


def write_since(client: MilvusClient, *keys: int) -> None:
    described = client.describe_collection(EVERYTHING)
    fields = {field["name"] for field in described["fields"]}
    if described["enable_dynamic_field"]:
        fields.add("extra")
    rows = [_row(key) for key in keys]
    client.insert(EVERYTHING, [{name: row[name] for name in row if name in fields} for row in rows])


def fill_some(client: MilvusClient) -> None:
    """One collection with flushed, deleted and unflushed rows, for tests of the steps alone."""
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(EVERYTHING, schema=schema, index_params=indexes)
    write_since(client, *range(50))
    client.delete(EVERYTHING, ids=list(range(10)))
    client.flush(EVERYTHING)
    write_since(client, *range(50, 70))


def keys(client: MilvusClient) -> set[int]:
    return {row["id"] for row in client.query(EVERYTHING, filter="id >= 0", output_fields=["id"])}


def _rows(client: MilvusClient, name: str) -> list[str]:
    described = client.describe_collection(name)
    outputs = {output for function in described.get("functions", ()) for output in
               function["output_field_names"]}  # fmt: skip
    stored = [field["name"] for field in described["fields"] if field["name"] not in outputs]
    key = next(field["name"] for field in described["fields"] if field.get("is_primary"))
    everything = 'name != "no"' if key == "name" else f"{key} >= 0"
    dynamic = ["extra"] if described["enable_dynamic_field"] else []
    rows = client.query(name, filter=everything, output_fields=[*stored, *dynamic])
    return sorted(repr(sorted(row.items())) for row in rows)


def _fill_everything(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=200, enable_analyzer=True)
    schema.add_field("flag", DataType.BOOL, nullable=True)
    for name, kind in _NUMBERS.items():
        schema.add_field(name, kind, nullable=True)
    schema.add_field("document", DataType.JSON, nullable=True)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("at", DataType.TIMESTAMPTZ, nullable=True)
    schema.add_field("place", DataType.GEOMETRY, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["text"],
            output_field_names=["words"],
        )
    )
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8})
    indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(EVERYTHING, schema=schema, index_params=indexes)
    client.create_partition(EVERYTHING, "winter")
    client.create_alias(EVERYTHING, "all")
    client.insert(EVERYTHING, [_row(key) for key in range(400)])
    client.insert(EVERYTHING, [_row(key) for key in range(400, 500)], partition_name="winter")
    client.delete(EVERYTHING, ids=list(range(50)))
    client.flush(EVERYTHING)
    client.insert(EVERYTHING, [_row(key) for key in UNFLUSHED])
    client.delete(EVERYTHING, ids=list(range(380, 420)))
    client.upsert(EVERYTHING, [_row(key) for key in range(60, 70)])


_NUMBERS = {
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "float": DataType.FLOAT,
    "double": DataType.DOUBLE,
}


def _row(key: int) -> dict[str, Any]:
    return {
        "id": key,
        "text": f"word{key % 7} common {key}",
        "flag": None if key % 3 else True,
        **dict.fromkeys(_NUMBERS, None if key % 5 == 0 else key % 100),
        "document": {"key": key, "text": "quoted ' \" \\", "list": [1, None]} if key % 4 else None,
        "list": [key, -key],
        "at": "2025-01-01T00:00:00Z" if key % 2 else None,
        "place": f"POINT ({key} 1)" if key % 2 else None,
        "vector": _random.random(8, dtype=np.float32),
        "sparse": {key % 50: 1.5, 100 + key % 7: 0.25},
        "extra": [key],
    }


def _fill_keys_with_quotes(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("name", DataType.VARCHAR, max_length=100, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    client.create_collection(NAMED, schema=schema)
    names = ["nul\0", '"quoted"', "back\\slash", "it's", "", "ünï", "plain"]
    client.insert(NAMED, [{"name": name, "vector": _random.random(8)} for name in names])


def _fill_released(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="IVF_FLAT", metric_type="COSINE", params={"nlist": 4})
    client.create_collection(RELEASED, schema=schema, index_params=indexes)
    client.insert(RELEASED, [{"vector": _random.random(8)} for _ in range(60)])
    client.flush(RELEASED)
    client.insert(RELEASED, [{"vector": _random.random(8)} for _ in range(5)])
    client.release_collection(RELEASED)
