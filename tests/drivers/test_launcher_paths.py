"""Names that are paths, in every kind of call, with a canary beside the cluster's directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from milvus_lite.db import MilvusLite
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus import MilvusException
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

from clusters.drivers.embedded.server.refusals import REFUSED as NOT_OFFERED
from tests.drivers.launched import (
    CONTROL,
    TOKEN,
    Launched,
    encoded,
    ids,
    make_collection,
    row,
    rows,
)
from tests.drivers.pinned import live_rows

REFUSED = "cannot be the name of"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory as a stranger's partition would have it, beside the cluster's own."""
    partition = tmp_path / "stranger" / "partitions" / "_default"
    (partition / "data").mkdir(parents=True)
    (partition / "data" / "data_000001_000001.parquet").write_bytes(b"a stranger's rows")
    (tmp_path / "stranger" / "schema.json").write_text("{}")
    return tmp_path / "stranger"


@pytest.fixture
def canaries(canary: Path) -> Callable[[], dict[str, bytes]]:
    def content() -> dict[str, bytes]:
        files = (path for path in canary.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}

    return content


def ways_to(canary: Path, launched: Launched) -> list[str]:
    """From the collections and from the partitions of collection `c`, and from the root."""
    up = "../" * len(launched.data_dir.relative_to(canary.parent).parts)
    return [
        f"../{up}{canary.name}",
        f"../../../{up}{canary.name}",
        f"../../../{up}{canary.name}/partitions/_default",
        str(canary),
        str(canary / "partitions" / "_default"),
    ]


class Raw:
    """The calls as they are on the wire, without what pymilvus checks itself."""

    def __init__(self, launched: Launched) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{launched.port}")
        self._stub = milvus_pb2_grpc.MilvusServiceStub(self._channel)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def answer(
        self, method: str, request: Any, token: str = TOKEN, **metadata: str
    ) -> tuple[int, str]:
        """Code and reason, wherever the protocol puts them."""
        headers = (("authorization", encoded(token)), *metadata.items())
        try:
            answer = getattr(self._stub, method)(request, metadata=headers, timeout=30)
        except grpc.RpcError as error:
            return error.code().value[0], error.details()
        if method == "AlterCollectionSchema":
            answer = answer.alter_status
        status = answer if isinstance(answer, common_pb2.Status) else answer.status
        return status.code, status.reason


def schema(*fields: schema_pb2.FieldSchema, **others: Any) -> bytes:
    given = schema_pb2.CollectionSchema(name="c", fields=fields, **others)
    return bytes(given.SerializeToString())


def requests_with(name: str) -> list[tuple[str, Any]]:
    """Every kind of call with this name in every place that a name has there."""
    pb, field = milvus_pb2, schema_pb2.FieldSchema
    column = schema_pb2.FieldData(field_name=name)
    nested = schema_pb2.FieldData(
        field_name="s", struct_arrays=schema_pb2.StructArrayField(fields=[column])
    )
    computed = schema_pb2.FunctionSchema(name="f", input_field_names=[name])
    typed = [common_pb2.KeyValuePair(key="index_type", value=name)]
    search = pb.SearchRequest(collection_name="c", partition_names=["_default", name])
    in_c = {"collection_name": "c"}
    return [
        ("CreateDatabase", pb.CreateDatabaseRequest(db_name=name)),
        ("DropDatabase", pb.DropDatabaseRequest(db_name=name)),
        ("DescribeDatabase", pb.DescribeDatabaseRequest(db_name=name)),
        ("AlterDatabase", pb.AlterDatabaseRequest(db_name=name)),
        ("ShowCollections", pb.ShowCollectionsRequest(db_name=name)),
        ("ShowCollections", pb.ShowCollectionsRequest(collection_names=["c", name])),
        ("CreateCollection", pb.CreateCollectionRequest(collection_name=name)),
        ("CreateCollection", pb.CreateCollectionRequest(**in_c, schema=schema(field(name=name)))),
        (
            "CreateCollection",
            pb.CreateCollectionRequest(**in_c, schema=schema(functions=[computed])),
        ),
        (
            "AddCollectionField",
            pb.AddCollectionFieldRequest(**in_c, schema=field(name=name).SerializeToString()),
        ),
        ("HasCollection", pb.HasCollectionRequest(collection_name=name)),
        ("DescribeCollection", pb.DescribeCollectionRequest(collection_name=name)),
        ("BatchDescribeCollection", pb.BatchDescribeCollectionRequest(collection_name=["c", name])),
        ("GetCollectionStatistics", pb.GetCollectionStatisticsRequest(collection_name=name)),
        ("LoadCollection", pb.LoadCollectionRequest(collection_name=name)),
        ("LoadCollection", pb.LoadCollectionRequest(**in_c, load_fields=[name])),
        ("ReleaseCollection", pb.ReleaseCollectionRequest(collection_name=name)),
        ("AlterCollection", pb.AlterCollectionRequest(collection_name=name)),
        ("TruncateCollection", pb.TruncateCollectionRequest(collection_name=name)),
        ("DropCollection", pb.DropCollectionRequest(collection_name=name)),
        ("RenameCollection", pb.RenameCollectionRequest(oldName=name, newName="d")),
        ("RenameCollection", pb.RenameCollectionRequest(oldName="c", newName=name)),
        ("RenameCollection", pb.RenameCollectionRequest(oldName="c", newName="d", newDBName=name)),
        ("CreateAlias", pb.CreateAliasRequest(**in_c, alias=name)),
        ("CreateAlias", pb.CreateAliasRequest(collection_name=name, alias="a")),
        ("AlterAlias", pb.AlterAliasRequest(collection_name=name, alias="a")),
        ("AlterAlias", pb.AlterAliasRequest(**in_c, alias=name)),
        ("DropAlias", pb.DropAliasRequest(alias=name)),
        ("DescribeAlias", pb.DescribeAliasRequest(alias=name)),
        ("ListAliases", pb.ListAliasesRequest(collection_name=name)),
        ("CreatePartition", pb.CreatePartitionRequest(**in_c, partition_name=name)),
        ("DropPartition", pb.DropPartitionRequest(**in_c, partition_name=name)),
        ("HasPartition", pb.HasPartitionRequest(**in_c, partition_name=name)),
        ("ShowPartitions", pb.ShowPartitionsRequest(**in_c, partition_names=[name])),
        ("LoadPartitions", pb.LoadPartitionsRequest(**in_c, partition_names=["p", name])),
        ("ReleasePartitions", pb.ReleasePartitionsRequest(**in_c, partition_names=[name])),
        ("GetPartitionStatistics", pb.GetPartitionStatisticsRequest(**in_c, partition_name=name)),
        ("GetLoadState", pb.GetLoadStateRequest(**in_c, partition_names=[name])),
        ("GetLoadingProgress", pb.GetLoadingProgressRequest(**in_c, partition_names=[name])),
        ("Insert", pb.InsertRequest(**in_c, partition_name=name)),
        ("Insert", pb.InsertRequest(**in_c, fields_data=[column])),
        ("Insert", pb.InsertRequest(**in_c, fields_data=[nested])),
        ("Upsert", pb.UpsertRequest(**in_c, partition_name=name)),
        ("Delete", pb.DeleteRequest(**in_c, partition_name=name, expr="id in [1]")),
        ("Query", pb.QueryRequest(**in_c, partition_names=["_default", name], expr="id >= 0")),
        ("Search", search),
        ("HybridSearch", pb.HybridSearchRequest(**in_c, partition_names=[name])),
        ("HybridSearch", pb.HybridSearchRequest(**in_c, requests=[search])),
        ("Flush", pb.FlushRequest(collection_names=["c", name])),
        ("Import", pb.ImportRequest(**in_c, partition_name=name, files=["a.parquet"])),
        ("CreateIndex", pb.CreateIndexRequest(**in_c, field_name=name)),
        ("CreateIndex", pb.CreateIndexRequest(**in_c, field_name="vector", index_name=name)),
        ("CreateIndex", pb.CreateIndexRequest(**in_c, field_name="vector", extra_params=typed)),
        ("DescribeIndex", pb.DescribeIndexRequest(**in_c, index_name=name)),
        ("DropIndex", pb.DropIndexRequest(**in_c, field_name=name)),
        ("CreateSnapshot", pb.CreateSnapshotRequest(**in_c, name=name)),
        ("DropSnapshot", pb.DropSnapshotRequest(name=name)),
        ("DescribeSnapshot", pb.DescribeSnapshotRequest(name=name)),
        ("RestoreSnapshot", pb.RestoreSnapshotRequest(name="s", target_collection_name=name)),
        ("RestoreSnapshot", pb.RestoreSnapshotRequest(name="s", target_db_name=name)),
        ("AlterCollectionSchema", pb.AlterCollectionSchemaRequest(collection_name=name)),
    ]


def test_no_call_takes_a_name_that_is_a_path(
    launch: Callable[..., Launched], canary: Path, canaries: Callable[[], dict[str, bytes]]
) -> None:
    launched, before = launch(), canaries()
    make_collection(launched.client(), "c")
    names = [*ways_to(canary, launched), "..", ".", "a/b", "a\\b", "a\0b", "x" * 256]
    with Raw(launched) as raw:
        for name in names:
            for method, request in requests_with(name):
                code, reason = raw.answer(method, request)
                assert code, f"{method} took {name!r} in {request}"
                expected = NOT_OFFERED.get(method, REFUSED)
                assert expected in reason, f"{method}: {reason}"
    assert canaries() == before
    assert launched.health()["ready"]


def test_the_console_is_held_to_the_same_names(launch: Callable[..., Launched]) -> None:
    """It restores archives that come from elsewhere."""
    launched = launch()
    make_collection(launched.client(), "c")
    with Raw(launched) as raw:
        for method, request in requests_with("a/b"):
            expected = NOT_OFFERED.get(method, REFUSED)
            assert expected in raw.answer(method, request, token=CONTROL)[1]


@pytest.mark.parametrize("name", ["../..", "/", "a/b", "..", "x" * 256])
def test_a_database_in_the_metadata_is_a_name_like_any(server: Launched, name: str) -> None:
    with Raw(server) as raw:
        request = milvus_pb2.ShowCollectionsRequest()
        code, reason = raw.answer("ShowCollections", request, dbname=name)
    assert code
    assert f"{REFUSED} a database" in reason


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CreatePartition", milvus_pb2.CreatePartitionRequest(collection_name="c")),
        (
            "CreatePartition",
            milvus_pb2.CreatePartitionRequest(collection_name="c", partition_name="_all"),
        ),
        ("CreateDatabase", milvus_pb2.CreateDatabaseRequest(db_name="日本")),
        ("CreateDatabase", milvus_pb2.CreateDatabaseRequest(db_name=" spaced ")),
        (
            "CreateCollection",
            milvus_pb2.CreateCollectionRequest(
                collection_name="c", schema=schema(schema_pb2.FieldSchema(name="f" * 300))
            ),
        ),
        (
            "CreateCollection",
            milvus_pb2.CreateCollectionRequest(collection_name="line\nbreak"),
        ),
    ],
    ids=["empty", "the word for all", "not ASCII", "spaces", "300 characters", "control"],
)
def test_what_the_files_cannot_hold_is_refused_where_it_is_made(
    server: Launched, method: str, request_: Any
) -> None:
    with Raw(server) as raw:
        code, reason = raw.answer(method, request_)
    assert code
    assert REFUSED in reason


def test_a_schema_that_cannot_be_read_is_refused(server: Launched) -> None:
    request = milvus_pb2.CreateCollectionRequest(collection_name="c", schema=b"\xff\xff\xff")
    with Raw(server) as raw:
        code, reason = raw.answer("CreateCollection", request)
    assert code
    assert "not a valid protobuf message" in reason


def test_bytes_that_are_no_text_are_refused_on_the_wire(server: Launched) -> None:
    """Half a surrogate pair, an overlong `/` and a byte that begins nothing."""
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
    call = channel.unary_unary("/milvus.proto.milvus.MilvusService/CreatePartition")
    with channel:
        for wrong in (b"\xed\xa0\x80", b"..\xc0\xaf..", b"\xff"):
            collection, partition = b"\x1a\x01c", b"\x22" + bytes([len(wrong)]) + wrong
            with pytest.raises(grpc.RpcError):
                call(
                    collection + partition, metadata=[("authorization", encoded(TOKEN))], timeout=30
                )
    assert server.health()["ready"]


# Clusters of older versions


def add_partition(directory: Path, name: str, like: str = "_default") -> None:
    """As an older version wrote it."""
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["partitions"][name] = manifest["partitions"][like]
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_an_old_partition_outside_is_detached_at_the_start(
    launch: Callable[..., Launched], canary: Path, canaries: Callable[[], dict[str, bytes]]
) -> None:
    launched, before = launch(), canaries()
    make_collection(launched.client(), "c")
    launched.client().insert("c", rows(1, 2))
    launched.end()
    for way in ways_to(canary, launched):
        add_partition(launched.data_dir / "collections" / "c", way)
    client = launched.start().client()
    assert client.list_partitions("c") == ["_default"]
    assert ids(client, "c") == {1, 2}
    client.drop_collection("c")
    assert canaries() == before


def test_an_old_alias_of_a_path_means_nothing_any_more(
    launch: Callable[..., Launched], canary: Path, canaries: Callable[[], dict[str, bytes]]
) -> None:
    launched, before = launch(), canaries()
    make_collection(launched.client(), "c")
    launched.end()
    aliases = {f"a{n}": way for n, way in enumerate(ways_to(canary, launched))}
    (launched.data_dir / "aliases.json").write_text(json.dumps({**aliases, "good": "c"}))
    client = launched.start().client()
    for alias in aliases:
        client.drop_collection(alias)
    assert client.describe_collection("good")["collection_name"] == "c"
    assert canaries() == before


def test_rows_of_an_old_partition_outside_that_were_only_logged_are_kept(
    launch: Callable[..., Launched], canary: Path, canaries: Callable[[], dict[str, bytes]]
) -> None:
    """The log names the partition that each of its rows goes to at the next flush."""
    launched, before = launch(), canaries()
    client = launched.client()
    make_collection(client, "c")
    way = ways_to(canary, launched)[2]
    stand_in = "p" * len(way.encode())
    client.create_partition("c", stand_in)
    client.insert("c", rows(7), partition_name=stand_in)
    launched.kill()
    directory = launched.data_dir / "collections" / "c"
    for log in (directory / "wal").iterdir():
        log.write_bytes(log.read_bytes().replace(stand_in.encode(), way.encode()))
    manifest = (directory / "manifest.json").read_text()
    (directory / "manifest.json").write_text(manifest.replace(stand_in, way))
    client = launched.start().client()
    client.flush("c")
    assert ids(client, "c") == {7}
    assert client.list_partitions("c") == ["_default"]
    assert canaries() == before


def test_an_old_snapshot_of_a_path_is_removed_and_the_others_stay(
    launch: Callable[..., Launched], canary: Path, canaries: Callable[[], dict[str, bytes]]
) -> None:
    launched, before = launch(), canaries()
    make_collection(launched.client(), "c")
    for name in ("good", "bad"):
        launched.control("CreateSnapshot", name=name, database="default", collections=["c"])
    launched.end()
    bad = launched.data_dir / "snapshots" / "console" / "bad" / "snapshot.json"
    described = json.loads(bad.read_text())
    described["collections"][0]["partitions"].append(ways_to(canary, launched)[2])
    bad.write_text(json.dumps(described))
    assert launched.start().control("ListSnapshots")["names"] == ["good"]
    assert canaries() == before


@pytest.mark.parametrize("field", ["v" * 300, "../../../../v", "a/b"])
def test_an_old_field_that_no_file_can_be_called_after_loses_its_index_and_no_row(
    launch: Callable[..., Launched], tmp_path: Path, field: str
) -> None:
    engine = MilvusLite(str(tmp_path / "data"))
    fields = [
        FieldSchema(name="id", dtype=DataType.INT64, is_primary=True),
        FieldSchema(name=field, dtype=DataType.FLOAT_VECTOR, dim=2),
    ]
    collection = engine.create_collection("c", CollectionSchema(fields=fields))
    collection.insert([{"id": key, field: [float(key), 1.0]} for key in (1, 2, 3)])
    collection.flush()
    with pytest.raises(RuntimeError, match="could not open"):
        collection.create_index(field, {"index_type": "HNSW", "metric_type": "L2"})
    engine.close()
    client = launch().client()
    assert client.list_indexes("c") == []
    assert ids(client, "c") == {1, 2, 3}
    (hits,) = client.search("c", [[2.1, 1.0]], limit=1)
    assert hits[0]["id"] == 2


@pytest.fixture
def with_partition_inside(launch: Callable[..., Launched]) -> Launched:
    """One called `a/deep`, whose row 1 was in the default partition before."""
    launched = launch()
    client = launched.client()
    make_collection(client, "c")
    client.insert("c", rows(1, 2))
    client.create_partition("c", "deep")
    client.upsert("c", [row(1, colour="red")], partition_name="deep")
    launched.end()
    directory = launched.data_dir / "collections" / "c"
    (directory / "partitions" / "a").mkdir()
    (directory / "partitions" / "deep").rename(directory / "partitions" / "a" / "deep")
    manifest = (directory / "manifest.json").read_text()
    (directory / "manifest.json").write_text(manifest.replace('"deep"', '"a/deep"'))
    return launched.start()


def test_an_old_partition_inside_stays_readable(with_partition_inside: Launched) -> None:
    client = with_partition_inside.client()
    assert ids(client, "c") == {1, 2}
    client.release_collection("c")
    with pytest.raises(MilvusException, match=REFUSED):
        client.drop_partition("c", "a/deep")


def test_a_snapshot_holds_its_rows_as_those_of_the_default_partition(
    with_partition_inside: Launched,
) -> None:
    taken = with_partition_inside.control(
        "CreateSnapshot", name="s", database="default", collections=["c"]
    )
    (pinned,) = taken["collections"]
    assert pinned["partitions"] == ["_default"]
    assert pinned["moved_partitions"] == ["a/deep"]
    assert {file["partition"] for file in pinned["data_files"]} == {"_default"}
    found = live_rows(taken, "c")
    assert set(found) == {1, 2}
    assert "red" in found[1]["$meta"]
