"""One call of every public method of the SDK, with arguments that mean something.

A new method of a newer SDK has no entry and turns `test_sdk_methods` red until it has one. A call
answers True, or what it got instead; an error is what the method was refused with.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pandas as pd
from pymilvus import (
    AnnSearchRequest,
    AsyncMilvusClient,
    Collection,
    DataType,
    FieldSchema,
    Function,
    FunctionType,
    Index,
    MilvusClient,
    Partition,
    Role,
    RRFRanker,
    StructFieldSchema,
    connections,
    db,
    utility,
)

from tests.sdk.stage import ALIAS, BOOKS, DIMENSION, Stage, book, vector

Call = Callable[[Any, Stage], Any]


def _struct() -> Any:
    struct = StructFieldSchema()
    struct.add_field("clip", DataType.FLOAT_VECTOR, dim=DIMENSION)
    return struct


def _routes() -> list[AnnSearchRequest]:
    dense = AnnSearchRequest([vector(3)], "vector", {"metric_type": "L2"}, limit=3)
    words = AnnSearchRequest(["number 3"], "sparse", {"metric_type": "BM25"}, limit=3)
    return [dense, words]


def _ids(hits: Any) -> list[int]:
    return [hit["id"] for hit in hits]


def _all_of(iterator: Any) -> list[int]:
    found: list[int] = []
    while batch := iterator.next():
        found.extend(row.id if hasattr(row, "id") else row["id"] for row in batch)
    iterator.close()
    return sorted(found)


def _count(client: Any, name: str) -> int:
    return int(client.query(name, output_fields=["count(*)"])[0]["count(*)"])


def _after(call: Any, look: Callable[[], bool]) -> bool:
    """The call's effect, seen through another client."""
    del call
    return look()


CLIENT: dict[str, Call] = {
    # collections
    "create_schema": lambda c, s: c.create_schema(auto_id=True).auto_id,
    "create_struct_field_schema": lambda c, s: c.create_struct_field_schema() is not None,
    "create_field_schema": lambda c, s: c.create_field_schema("x", DataType.INT8).name == "x",
    "prepare_index_params": lambda c, s: len(c.prepare_index_params()) == 0,
    "create_collection": lambda c, s: _after(
        c.create_collection(name := s.name(), dimension=4),
        lambda: len(s.client.search(name, [vector(1)])) == 1,
    ),
    "has_collection": lambda c, s: c.has_collection(s.books) and not c.has_collection("nothing"),
    "describe_collection": lambda c, s: c.describe_collection(s.books)["functions"] != [],
    "list_collections": lambda c, s: s.books in c.list_collections(),
    "get_collection_stats": lambda c, s: c.get_collection_stats(s.books) == {"row_count": BOOKS},
    "rename_collection": lambda c, s: _after(
        c.rename_collection(old := s.fresh(), new := s.name()),
        lambda: s.client.has_collection(new) and not s.client.has_collection(old),
    ),
    "truncate_collection": lambda c, s: _after(
        c.truncate_collection(name := s.fresh()), lambda: _count(s.client, name) == 0
    ),
    "drop_collection": lambda c, s: _after(
        c.drop_collection(name := s.fresh()), lambda: not s.client.has_collection(name)
    ),
    "alter_collection_properties": lambda c, s: _after(
        c.alter_collection_properties(name := s.fresh(), {"timezone": "Asia/Tokyo"}),
        lambda: s.client.describe_collection(name)["properties"]["timezone"] == "Asia/Tokyo",
    ),
    "drop_collection_properties": lambda c, s: _after(
        c.drop_collection_properties(name := s.fresh(), ["timezone"]),
        lambda: "timezone" not in s.client.describe_collection(name)["properties"],
    ),
    "add_collection_field": lambda c, s: c.add_collection_field(
        s.fresh(), "note", DataType.VARCHAR, max_length=9, nullable=True
    ),
    "add_collection_struct_field": lambda c, s: c.add_collection_struct_field(
        s.fresh(), "clips", _struct(), 10
    ),
    "alter_collection_field": lambda c, s: c.alter_collection_field(
        s.fresh(), "text", {"max_length": 200}
    ),
    "drop_collection_field": lambda c, s: c.drop_collection_field(s.fresh(), "text"),
    "add_collection_function": lambda c, s: c.add_collection_function(s.fresh(), _bm25()),
    "alter_collection_function": lambda c, s: c.alter_collection_function(
        s.fresh(), "bm25", _bm25()
    ),
    "drop_collection_function": lambda c, s: c.drop_collection_function(s.fresh(), "bm25"),
    "add_function_field": lambda c, s: c.add_function_field(
        s.fresh(),
        FieldSchema("more", DataType.SPARSE_FLOAT_VECTOR),
        _bm25("more"),
        s.words_index("more"),
    ),
    "drop_function_field": lambda c, s: c.drop_function_field(s.fresh(), "bm25"),
    "refresh_external_collection": lambda c, s: c.refresh_external_collection(s.books),
    "get_refresh_external_collection_progress": lambda c, s: (
        c.get_refresh_external_collection_progress(1)
    ),
    "list_refresh_external_collection_jobs": lambda c, s: c.list_refresh_external_collection_jobs(),
    # rows
    "insert": lambda c, s: c.insert(s.fresh(), [book(50)])["insert_count"] == 1,
    "upsert": lambda c, s: c.upsert(s.fresh(), [book(1)])["upsert_count"] == 1,
    "delete": lambda c, s: _after(
        c.delete(name := s.fresh(), ids=[1]), lambda: _count(s.client, name) == 2
    ),
    "get": lambda c, s: _ids(c.get(s.books, ids=[3])) == [3],
    "query": lambda c, s: _ids(c.query(s.books, filter="text_match(text, '7')")) == [7],
    "search": lambda c, s: (
        _ids(c.search(s.books, [vector(3)], limit=1, anns_field="vector")[0]) == [3]
    ),
    "hybrid_search": lambda c, s: (
        _ids(c.hybrid_search(s.books, _routes(), RRFRanker(), 1)[0]) == [3]
    ),
    "query_iterator": lambda c, s: (
        _all_of(c.query_iterator(s.books, batch_size=3)) == list(range(1, BOOKS + 1))
    ),
    "search_iterator": lambda c, s: (
        _all_of(
            c.search_iterator(
                s.books,
                [vector(3)],
                batch_size=3,
                anns_field="vector",
                search_params={"metric_type": "L2"},
            )
        )
        == list(range(1, BOOKS + 1))
    ),
    "run_analyzer": lambda c, s: list(c.run_analyzer("Two Words").tokens) == ["two", "words"],
    # partitions
    "create_partition": lambda c, s: _after(
        c.create_partition(name := s.fresh(), "part"),
        lambda: s.client.has_partition(name, "part"),
    ),
    "has_partition": lambda c, s: c.has_partition(s.books, "old"),
    "list_partitions": lambda c, s: sorted(c.list_partitions(s.books)) == ["_default", "old"],
    "get_partition_stats": lambda c, s: c.get_partition_stats(s.books, "old") == {"row_count": 0},
    "drop_partition": lambda c, s: _after(
        c.drop_partition(name := s.partitioned(), "part"),
        lambda: not s.client.has_partition(name, "part"),
    ),
    "load_partitions": lambda c, s: c.load_partitions(s.partitioned(), ["part"]),
    "release_partitions": lambda c, s: c.release_partitions(s.partitioned(), ["part"]),
    # indexes and loading
    "create_index": lambda c, s: _after(
        c.create_index(name := s.fresh(), s.index()),
        lambda: s.client.list_indexes(name) == ["vector"],
    ),
    "list_indexes": lambda c, s: c.list_indexes(s.indexed()) == ["vector"],
    "describe_index": lambda c, s: c.describe_index(s.indexed(), "vector")["index_type"] == "FLAT",
    "drop_index": lambda c, s: _after(
        c.drop_index(name := s.indexed(released=True), "vector"),
        lambda: s.client.list_indexes(name) == [],
    ),
    "alter_index_properties": lambda c, s: c.alter_index_properties(
        s.indexed(), "vector", {"mmap.enabled": True}
    ),
    "drop_index_properties": lambda c, s: c.drop_index_properties(
        s.indexed(), "vector", ["mmap.enabled"]
    ),
    "load_collection": lambda c, s: _after(
        c.load_collection(name := s.indexed(released=True)),
        lambda: len(s.client.search(name, [vector(1)], anns_field="vector")[0]) == 3,
    ),
    "release_collection": lambda c, s: _after(
        c.release_collection(name := s.indexed()),
        lambda: s.client.get_load_state(name)["state"].name == "NotLoad",
    ),
    "get_load_state": lambda c, s: c.get_load_state(s.books)["state"].name == "Loaded",
    "refresh_load": lambda c, s: _after(c.refresh_load(s.books), lambda: True),
    "optimize": lambda c, s: c.optimize(s.indexed()).status == "success",
    # flush, compaction, segments
    "flush": lambda c, s: c.flush(s.fresh()) is None,
    "flush_all": lambda c, s: c.flush_all() is None,
    "get_flush_all_state": lambda c, s: c.get_flush_all_state(flush_all_ts=1),
    "compact": lambda c, s: c.compact(s.fresh()) > 0,
    "get_compaction_state": lambda c, s: (
        c.get_compaction_state(s.client.compact(s.fresh())) in ("Executing", "Completed")
    ),
    "get_compaction_plans": lambda c, s: c.get_compaction_plans(1),
    "list_compaction_tasks": lambda c, s: c.list_compaction_tasks(s.books),
    "list_segments": lambda c, s: c.list_segments(s.books),
    "list_persistent_segments": lambda c, s: c.list_persistent_segments(s.books),
    "list_loaded_segments": lambda c, s: c.list_loaded_segments(s.books),
    # snapshots
    "create_snapshot": lambda c, s: _after(
        c.create_snapshot("mine", name := s.fresh()),
        lambda: s.client.list_snapshots(name) == ["mine"],
    ),
    "list_snapshots": lambda c, s: c.list_snapshots(s.books) == ["standing"],
    "describe_snapshot": lambda c, s: (
        c.describe_snapshot("standing", s.books).collection_name == s.books
    ),
    "drop_snapshot": lambda c, s: _after(
        c.drop_snapshot(*(mine := s.snapshot())), lambda: s.client.list_snapshots(mine[1]) == []
    ),
    "restore_snapshot": lambda c, s: _after(
        c.restore_snapshot("standing", s.books, name := s.name()),
        lambda: _count(s.client, name) == BOOKS,
    ),
    "get_restore_snapshot_state": lambda c, s: (
        c.get_restore_snapshot_state(s.restore_job()).state == "RestoreSnapshotCompleted"
    ),
    "list_restore_snapshot_jobs": lambda c, s: (
        s.restore_job() in [job.job_id for job in c.list_restore_snapshot_jobs()]
    ),
    "pin_snapshot_data": lambda c, s: c.pin_snapshot_data("standing", s.books),
    "unpin_snapshot_data": lambda c, s: c.unpin_snapshot_data(1),
    # aliases
    "create_alias": lambda c, s: _after(
        c.create_alias(s.books, name := s.name()), lambda: s.client.has_collection(name)
    ),
    "alter_alias": lambda c, s: _after(
        c.alter_alias(name := s.fresh(), alias := s.aliased()),
        lambda: s.client.describe_alias(alias)["collection_name"] == name,
    ),
    "describe_alias": lambda c, s: c.describe_alias("books_alias")["collection_name"] == s.books,
    "list_aliases": lambda c, s: "books_alias" in str(c.list_aliases(s.books)),
    "drop_alias": lambda c, s: _after(
        c.drop_alias(alias := s.aliased()), lambda: not s.client.has_collection(alias)
    ),
    # databases
    "create_database": lambda c, s: _after(
        c.create_database(name := s.name()), lambda: name in s.client.list_databases()
    ),
    "list_databases": lambda c, s: "shelf" in c.list_databases(),
    "describe_database": lambda c, s: c.describe_database("shelf")["name"] == "shelf",
    "alter_database_properties": lambda c, s: _after(
        c.alter_database_properties(name := s.database(), {"timezone": "Asia/Tokyo"}),
        lambda: s.client.describe_database(name)["timezone"] == "Asia/Tokyo",
    ),
    "drop_database_properties": lambda c, s: _after(
        c.drop_database_properties(name := s.database(), ["timezone"]),
        lambda: "timezone" not in s.client.describe_database(name),
    ),
    "drop_database": lambda c, s: _after(
        c.drop_database(name := s.database()), lambda: name not in s.client.list_databases()
    ),
    "use_database": lambda c, s: c.use_database("default") is None,
    "using_database": lambda c, s: c.using_database("default") is None,
    # users, roles, privileges
    "create_user": lambda c, s: c.create_user("eve", "a password"),
    "list_users": lambda c, s: c.list_users(),
    "describe_user": lambda c, s: c.describe_user("eve"),
    "update_user": lambda c, s: c.update_user("eve", "a description"),
    "update_password": lambda c, s: c.update_password("eve", "a password", "another one"),
    "drop_user": lambda c, s: c.drop_user("eve"),
    "create_role": lambda c, s: c.create_role("reader"),
    "alter_role": lambda c, s: c.alter_role("reader", "reads"),
    "list_roles": lambda c, s: c.list_roles(),
    "describe_role": lambda c, s: c.describe_role("reader"),
    "drop_role": lambda c, s: c.drop_role("reader"),
    "grant_role": lambda c, s: c.grant_role("eve", "reader"),
    "revoke_role": lambda c, s: c.revoke_role("eve", "reader"),
    "grant_privilege": lambda c, s: c.grant_privilege("reader", "Collection", "Search", "*"),
    "revoke_privilege": lambda c, s: c.revoke_privilege("reader", "Collection", "Search", "*"),
    "grant_privilege_v2": lambda c, s: c.grant_privilege_v2("reader", "Search", "*"),
    "revoke_privilege_v2": lambda c, s: c.revoke_privilege_v2("reader", "Search", "*"),
    "create_privilege_group": lambda c, s: c.create_privilege_group("readers"),
    "list_privilege_groups": lambda c, s: c.list_privilege_groups(),
    "add_privileges_to_group": lambda c, s: c.add_privileges_to_group("readers", ["Search"]),
    "remove_privileges_from_group": lambda c, s: c.remove_privileges_from_group(
        "readers", ["Search"]
    ),
    "drop_privilege_group": lambda c, s: c.drop_privilege_group("readers"),
    # nodes, files, replication
    "create_resource_group": lambda c, s: c.create_resource_group("group"),
    "list_resource_groups": lambda c, s: c.list_resource_groups(),
    "describe_resource_group": lambda c, s: c.describe_resource_group("group"),
    "update_resource_groups": lambda c, s: c.update_resource_groups({}),
    "drop_resource_group": lambda c, s: c.drop_resource_group("group"),
    "transfer_replica": lambda c, s: c.transfer_replica("one", "two", s.books, 1),
    "describe_replica": lambda c, s: c.describe_replica(s.books),
    "add_file_resource": lambda c, s: c.add_file_resource("words", "words.txt"),
    "list_file_resources": lambda c, s: c.list_file_resources(),
    "remove_file_resource": lambda c, s: c.remove_file_resource("words"),
    "get_replicate_configuration": lambda c, s: c.get_replicate_configuration(),
    "update_replicate_configuration": lambda c, s: c.update_replicate_configuration(
        [
            {
                "cluster_id": "one",
                "connection_param": {"uri": s.uri, "token": s.token},
                "pchannels": ["one-dml_0"],
            }
        ]
    ),
    "get_replicate_info": lambda c, s: c.get_replicate_info("one", "one-dml_0"),
    "dump_messages": lambda c, s: list(
        c.dump_messages("one-dml_0", {"id": "1", "wal_name": "Pulsar"})
    ),
    # the connection
    "get_server_version": lambda c, s: "milvus_lite" in c.get_server_version(),
    "get_server_type": lambda c, s: c.get_server_type() == "milvus",
    "session": lambda c, s: c.session("one") is not None,
    "close": lambda c, s: True,
}
"""Methods of MilvusClient and of AsyncMilvusClient, whose coroutines are awaited. The stage closes
them.
"""

COLLECTION: dict[str, Call] = {
    "name": lambda c, s: c.name == s.books,
    "schema": lambda c, s: c.schema.primary_field.name == "id",
    "primary_field": lambda c, s: c.primary_field.name == "id",
    "description": lambda c, s: c.description == "",
    "aliases": lambda c, s: isinstance(c.aliases, list),
    "describe": lambda c, s: c.describe()["collection_name"] == s.books,
    "is_empty": lambda c, s: not c.is_empty,
    "num_entities": lambda c, s: c.num_entities == BOOKS,
    "num_shards": lambda c, s: c.num_shards == 1,
    "partitions": lambda c, s: len(c.partitions) == 2,
    "partition": lambda c, s: c.partition("old").name == "old",
    "has_partition": lambda c, s: c.has_partition("old"),
    "create_partition": lambda c, s: _orm(s.fresh()).create_partition("part").name == "part",
    "drop_partition": lambda c, s: _after(
        _orm(name := s.partitioned()).drop_partition("part"),
        lambda: not s.client.has_partition(name, "part"),
    ),
    "construct_from_dataframe": lambda c, s: (
        Collection.construct_from_dataframe(
            s.name(),
            pd.DataFrame({"id": [1, 2], "vector": [vector(1), vector(2)]}),
            primary_field="id",
            using=ALIAS,
        )[0].num_entities
        == 2
    ),
    "insert": lambda c, s: _orm(s.fresh()).insert([book(50)]).insert_count == 1,
    "upsert": lambda c, s: _orm(s.fresh()).upsert([book(1)]).upsert_count == 1,
    "delete": lambda c, s: _orm(s.fresh()).delete("id in [1]").delete_count == 1,
    "query": lambda c, s: _ids(c.query("id == 3")) == [3],
    "search": lambda c, s: c.search([vector(3)], "vector", {}, 1)[0].ids == [3],
    "hybrid_search": lambda c, s: c.hybrid_search(_routes(), RRFRanker(), 1)[0].ids == [3],
    "query_iterator": lambda c, s: len(_all_of(c.query_iterator(batch_size=3))) == BOOKS,
    "search_iterator": lambda c, s: (
        len(_all_of(c.search_iterator([vector(3)], "vector", {"metric_type": "L2"}, batch_size=3)))
        == BOOKS
    ),
    "flush": lambda c, s: _orm(s.fresh()).flush() is None,
    "truncate": lambda c, s: _after(
        _orm(name := s.fresh()).truncate(), lambda: _count(s.client, name) == 0
    ),
    "drop": lambda c, s: _after(
        _orm(name := s.fresh()).drop(), lambda: not s.client.has_collection(name)
    ),
    "load": lambda c, s: c.load() is None,
    "release": lambda c, s: _orm(s.indexed()).release() is None,
    "create_index": lambda c, s: (
        _orm(s.fresh())
        .create_index("vector", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
        .code
        == 0
    ),
    "index": lambda c, s: _orm(s.indexed()).index().field_name == "vector",
    "indexes": lambda c, s: len(_orm(s.indexed()).indexes) == 1,
    "has_index": lambda c, s: _orm(s.indexed()).has_index(),
    "alter_index": lambda c, s: _orm(s.indexed()).alter_index("vector", {"mmap.enabled": True}),
    "drop_index": lambda c, s: _orm(s.indexed(released=True)).drop_index() is None,
    "set_properties": lambda c, s: _orm(s.fresh()).set_properties({"timezone": "UTC"}) is None,
    "compact": lambda c, s: _orm(s.fresh()).compact() is None,
    "get_compaction_state": lambda c, s: _compacted(s).get_compaction_state() is not None,
    "get_compaction_plans": lambda c, s: _compacted(s).get_compaction_plans(),
    "wait_for_compaction_completed": lambda c, s: (
        _compacted(s).wait_for_compaction_completed() is not None
    ),
    "get_replicas": lambda c, s: c.get_replicas(),
}

PARTITION: dict[str, Call] = {
    "name": lambda p, s: p.name == "part",
    "description": lambda p, s: p.description == "",
    "is_empty": lambda p, s: not p.is_empty,
    "num_entities": lambda p, s: p.num_entities == 1,
    "insert": lambda p, s: p.insert([book(101)]).insert_count == 1,
    "upsert": lambda p, s: p.upsert([book(100)]).upsert_count == 1,
    "delete": lambda p, s: p.delete("id in [100]").delete_count == 1,
    "query": lambda p, s: _ids(p.query("id >= 0")) == [100],
    "search": lambda p, s: p.search([vector(1)], "vector", {}, 5)[0].ids == [100],
    "hybrid_search": lambda p, s: p.hybrid_search(_routes(), RRFRanker(), 5)[0].ids == [100],
    "flush": lambda p, s: p.flush() is None,
    "load": lambda p, s: p.load(),
    "release": lambda p, s: p.release(),
    "drop": lambda p, s: p.drop() is None,
    "get_replicas": lambda p, s: p.get_replicas(),
}
"""Each of a fresh partition `part` with row 100."""

INDEX: dict[str, Call] = {
    "collection_name": lambda i, s: s.client.has_collection(i.collection_name),
    "field_name": lambda i, s: i.field_name == "vector",
    "index_name": lambda i, s: i.index_name == "vector",
    "params": lambda i, s: i.params["index_type"] == "FLAT",
    "to_dict": lambda i, s: i.to_dict()["field"] == "vector",
    "drop": lambda i, s: _after(
        s.client.release_collection(i.collection_name), lambda: i.drop() is None
    ),
}

ROLE: dict[str, Call] = {
    "name": lambda r, s: r.name == "reader",
    "create": lambda r, s: r.create(),
    "drop": lambda r, s: r.drop(),
    "is_exist": lambda r, s: r.is_exist(),
    "add_user": lambda r, s: r.add_user("eve"),
    "remove_user": lambda r, s: r.remove_user("eve"),
    "get_users": lambda r, s: r.get_users(),
    "grant": lambda r, s: r.grant("Collection", "*", "Search"),
    "revoke": lambda r, s: r.revoke("Collection", "*", "Search"),
    "grant_v2": lambda r, s: r.grant_v2("Search", "*"),
    "revoke_v2": lambda r, s: r.revoke_v2("Search", "*"),
    "list_grant": lambda r, s: r.list_grant("Collection", "*"),
    "list_grants": lambda r, s: r.list_grants(),
    "create_privilege_group": lambda r, s: r.create_privilege_group("readers"),
    "drop_privilege_group": lambda r, s: r.drop_privilege_group("readers"),
    "list_privilege_groups": lambda r, s: r.list_privilege_groups(),
    "add_privileges_to_group": lambda r, s: r.add_privileges_to_group("readers", ["Search"]),
    "remove_privileges_from_group": lambda r, s: r.remove_privileges_from_group(
        "readers", ["Search"]
    ),
}

CONNECTIONS: dict[str, Call] = {
    "instance": lambda c, s: c.instance is not None,
    "add_connection": lambda c, s: c.add_connection(other={"uri": s.uri}) is None,
    "connect": lambda c, s: _connected(s) in [name for name, _ in c.list_connections()],
    "has_connection": lambda c, s: c.has_connection(_connected(s)),
    "get_connection_addr": lambda c, s: (
        c.get_connection_addr(_connected(s))["address"] == s.uri.removeprefix("http://")
    ),
    "list_connections": lambda c, s: ALIAS in [name for name, _ in c.list_connections()],
    "disconnect": lambda c, s: c.disconnect(_connected(s)) is None,
    "remove_connection": lambda c, s: c.remove_connection(_connected(s)) is None,
    "async_disconnect": lambda c, s: _closed(s, c.async_disconnect),
    "async_remove_connection": lambda c, s: _closed(s, c.async_remove_connection),
}

_NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

UTILITY: dict[str, Call] = {
    "mkts_from_hybridts": lambda u, s: u.mkts_from_hybridts(1 << 18, 1) == 2 << 18,
    "mkts_from_unixtime": lambda u, s: u.mkts_from_unixtime(1) == 1000 << 18,
    "mkts_from_datetime": lambda u, s: u.mkts_from_datetime(_NOW) > 0,
    "hybridts_to_datetime": lambda u, s: u.hybridts_to_datetime(1000 << 18).year == 1970,
    "hybridts_to_unixtime": lambda u, s: u.hybridts_to_unixtime(1000 << 18) == 1.0,
    "loading_progress": lambda u, s: (
        u.loading_progress(s.books, using=ALIAS) == {"loading_progress": "100%"}
    ),
    "load_state": lambda u, s: u.load_state(s.books, using=ALIAS).name == "Loaded",
    "wait_for_loading_complete": lambda u, s: (
        u.wait_for_loading_complete(s.books, using=ALIAS) is None
    ),
    "index_building_progress": lambda u, s: (
        u.index_building_progress(s.indexed(), using=ALIAS)["indexed_rows"] == 3
    ),
    "wait_for_index_building_complete": lambda u, s: u.wait_for_index_building_complete(
        s.indexed(), using=ALIAS
    ),
    "has_collection": lambda u, s: u.has_collection(s.books, using=ALIAS),
    "has_partition": lambda u, s: u.has_partition(s.books, "old", using=ALIAS),
    "list_collections": lambda u, s: s.books in u.list_collections(using=ALIAS),
    "list_indexes": lambda u, s: u.list_indexes(s.indexed(), using=ALIAS) == ["vector"],
    "drop_collection": lambda u, s: u.drop_collection(s.fresh(), using=ALIAS) is None,
    "truncate_collection": lambda u, s: _after(
        u.truncate_collection(name := s.fresh(), using=ALIAS),
        lambda: _count(s.client, name) == 0,
    ),
    "rename_collection": lambda u, s: u.rename_collection(s.fresh(), s.name(), using=ALIAS) is None,
    "create_alias": lambda u, s: u.create_alias(s.books, s.name(), using=ALIAS) is None,
    "alter_alias": lambda u, s: u.alter_alias(s.fresh(), s.aliased(), using=ALIAS) is None,
    "drop_alias": lambda u, s: u.drop_alias(s.aliased(), using=ALIAS) is None,
    "list_aliases": lambda u, s: "books_alias" in u.list_aliases(s.books, using=ALIAS),
    "flush_all": lambda u, s: u.flush_all(using=ALIAS) is None,
    "get_server_version": lambda u, s: "milvus_lite" in u.get_server_version(using=ALIAS),
    "get_server_type": lambda u, s: u.get_server_type(using=ALIAS) == "milvus",
    "load_balance": lambda u, s: u.load_balance(s.books, 1, [2], using=ALIAS),
    "get_query_segment_info": lambda u, s: u.get_query_segment_info(s.books, using=ALIAS),
    "do_bulk_insert": lambda u, s: u.do_bulk_insert(s.books, ["rows.parquet"], using=ALIAS),
    "get_bulk_insert_state": lambda u, s: u.get_bulk_insert_state(1, using=ALIAS),
    "list_bulk_insert_tasks": lambda u, s: u.list_bulk_insert_tasks(using=ALIAS),
    "create_user": lambda u, s: u.create_user("eve", "a password", using=ALIAS),
    "reset_password": lambda u, s: u.reset_password("eve", "old one", "new one", using=ALIAS),
    "update_password": lambda u, s: u.update_password("eve", "old one", "new one", using=ALIAS),
    "delete_user": lambda u, s: u.delete_user("eve", using=ALIAS),
    "list_usernames": lambda u, s: u.list_usernames(using=ALIAS),
    "list_roles": lambda u, s: u.list_roles(include_user_info=True, using=ALIAS),
    "list_user": lambda u, s: u.list_user("eve", include_role_info=True, using=ALIAS),
    "list_users": lambda u, s: u.list_users(include_role_info=True, using=ALIAS),
    "create_resource_group": lambda u, s: u.create_resource_group("group", using=ALIAS),
    "update_resource_groups": lambda u, s: u.update_resource_groups({}, using=ALIAS),
    "drop_resource_group": lambda u, s: u.drop_resource_group("group", using=ALIAS),
    "describe_resource_group": lambda u, s: u.describe_resource_group("group", using=ALIAS),
    "list_resource_groups": lambda u, s: u.list_resource_groups(using=ALIAS),
    "transfer_node": lambda u, s: u.transfer_node("one", "two", 1, using=ALIAS),
    "transfer_replica": lambda u, s: u.transfer_replica("one", "two", s.books, 1, using=ALIAS),
}

DATABASES: dict[str, Call] = {
    "create_database": lambda d, s: _after(
        d.create_database(name := s.name(), using=ALIAS),
        lambda: name in s.client.list_databases(),
    ),
    "list_database": lambda d, s: "shelf" in d.list_database(using=ALIAS),
    "describe_database": lambda d, s: d.describe_database("shelf", using=ALIAS)["name"] == "shelf",
    "set_properties": lambda d, s: (
        d.set_properties(s.database(), {"timezone": "UTC"}, using=ALIAS) is None
    ),
    "using_database": lambda d, s: d.using_database("default", using=_connected(s)) is None,
    "drop_database": lambda d, s: d.drop_database(s.database(), using=ALIAS) is None,
}


def _bm25(output: str = "sparse") -> Function:
    return Function(
        name="words",
        function_type=FunctionType.BM25,
        input_field_names=["text"],
        output_field_names=[output],
    )


def _orm(name: str) -> Collection:
    return Collection(name, using=ALIAS)


def _compacted(stage: Stage) -> Collection:
    collection = _orm(stage.fresh())
    collection.compact()
    return collection


def _connected(stage: Stage) -> str:
    alias = stage.name("alias")
    connections.connect(alias, uri=stage.uri, token=stage.token)
    return alias


def _closed(stage: Stage, close: Callable[[str], Any]) -> bool:
    alias = stage.name("alias")

    async def connect_and_close() -> None:
        connections.connect(alias, uri=stage.uri, token=stage.token, _async=True)
        await close(alias)

    asyncio.run(connect_and_close())
    return not connections.has_connection(alias)


def _new_partition(stage: Stage) -> Partition:
    return Partition(_orm(stage.partitioned()), "part")


SURFACES: dict[str, tuple[Any, dict[str, Call], Callable[[Stage], Any]]] = {
    "MilvusClient": (MilvusClient, CLIENT, lambda s: s.client),
    "AsyncMilvusClient": (AsyncMilvusClient, CLIENT, lambda s: s.asynchronous),
    "Collection": (Collection, COLLECTION, lambda s: _orm(s.books)),
    "Partition": (Partition, PARTITION, _new_partition),
    "Index": (Index, INDEX, lambda s: _orm(s.indexed()).index()),
    "Role": (Role, ROLE, lambda s: Role("reader", using=ALIAS)),
    "connections": (type(connections), CONNECTIONS, lambda s: connections),
    "utility": (utility, UTILITY, lambda s: utility),
    "db": (db, DATABASES, lambda s: db),
}
"""Class or module, its calls, and what they are made on. Each call has a new subject."""
