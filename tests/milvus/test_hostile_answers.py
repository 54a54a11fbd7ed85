"""Answers that no Milvus gives are refused before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from backups.archive.description import CollectionDescription
from backups.milvus.access_control import read_access_control
from backups.milvus.answers import MAX_LISTED_NAMES, MAX_PARTS
from backups.milvus.client import Client
from backups.milvus.decode import keys_of, record_batch
from backups.milvus.errors import MilvusError, UnsupportedFeature
from backups.milvus.facts import read_facts
from backups.milvus.schema import describe
from tests.milvus.rooms import endpoint

Serve = Callable[..., Client]


class Hostile(grpc.GenericRpcHandler):
    """Answers every call with the given message, and calls without one with an empty message."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def service(self, handler_call_details: Any) -> Any:
        answer = self._answers.get(handler_call_details.method.rpartition("/")[2])
        data = b"" if answer is None else answer.SerializeToString()
        return grpc.unary_unary_rpc_method_handler(lambda _, context: data)


@pytest.fixture
def serve() -> Iterator[Serve]:
    opened: list[tuple[Any, Client]] = []

    def serve(**answers: Any) -> Client:
        server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Hostile(answers)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        opened.append((server, Client(endpoint(port, "token"))))
        return opened[-1][1]

    yield serve
    for server, client in opened:
        client.close()
        server.stop(None).wait()


def described(name: str, *fields: str) -> Any:
    answer = milvus_pb2.DescribeCollectionResponse()
    answer.schema.name = name
    for field in fields:
        answer.schema.fields.add(name=field, data_type=5)
    return answer


@pytest.mark.parametrize("name", ["", "a\0b", "../../etc", "x" * 256, "a\nb", "ä"])
def test_a_database_of_an_impossible_name_is_refused(serve: Serve, name: str) -> None:
    """It would be sent as metadata of the next call."""
    client = serve(ListDatabases=milvus_pb2.ListDatabasesResponse(db_names=["default", name]))
    with pytest.raises(MilvusError, match="names a database") as caught:
        client.databases()
    assert caught.value.permanent
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["", "a\0b", "../../etc", "x" * 256])
def test_a_collection_of_an_impossible_name_is_refused(serve: Serve, name: str) -> None:
    client = serve(ShowCollections=milvus_pb2.ShowCollectionsResponse(collection_names=[name]))
    with pytest.raises(MilvusError, match="names a collection"):
        client.collections()


def test_a_listing_without_end_is_refused(serve: Serve) -> None:
    names = ["c"] * (MAX_LISTED_NAMES + 1)
    client = serve(ShowCollections=milvus_pb2.ShowCollectionsResponse(collection_names=names))
    with pytest.raises(MilvusError, match="at most 100000"):
        client.collections()


@pytest.mark.parametrize("name", ["", "a\0b", "../../etc", "x" * 256])
def test_a_schema_of_an_impossible_name_is_refused(serve: Serve, name: str) -> None:
    """It would become the name in an archive and in rows."""
    with pytest.raises(MilvusError, match="names a collection"):
        describe(serve(DescribeCollection=described(name, "id")), "docs")
    with pytest.raises(MilvusError, match="names a field"):
        describe(serve(DescribeCollection=described("docs", name)), "docs")


def test_a_schema_of_too_many_fields_is_refused(serve: Serve) -> None:
    fields = [f"f{number}" for number in range(MAX_PARTS["fields"] + 1)]
    with pytest.raises(UnsupportedFeature, match="1025 fields"):
        describe(serve(DescribeCollection=described("docs", *fields)), "docs")


def test_a_collection_of_too_many_indexes_is_refused(serve: Serve) -> None:
    indexes = milvus_pb2.DescribeIndexResponse()
    for _ in range(MAX_PARTS["indexes"] + 1):
        indexes.index_descriptions.add()
    client = serve(DescribeCollection=described("docs", "id"), DescribeIndex=indexes)
    with pytest.raises(UnsupportedFeature, match="4097 indexes"):
        describe(client, "docs")
    (facts,) = read_facts(client, ["docs"], 5.0)
    assert facts.indexes is None


@pytest.mark.parametrize("count", ["-1", "many", "9" * 5000, str(2**63)])
def test_an_impossible_number_of_rows_is_unknown(serve: Serve, count: str) -> None:
    stats = milvus_pb2.GetCollectionStatisticsResponse()
    stats.stats.add(key="row_count", value=count)
    (facts,) = read_facts(serve(GetCollectionStatistics=stats), ["docs"], 5.0)
    assert facts.row_count is None


def test_a_count_without_a_number_is_refused(serve: Serve) -> None:
    with pytest.raises(MilvusError, match="number of rows"):
        serve(Query=milvus_pb2.QueryResults()).count("docs")


@pytest.mark.parametrize("version", ["", "v" * 41, "v2.6\0", "<b>v2.6</b>"])
def test_an_impossible_version_is_refused(serve: Serve, version: str) -> None:
    """It would be stored in the row of a backup when all rows have been read."""
    client = serve(GetVersion=milvus_pb2.GetVersionResponse(version=version))
    with pytest.raises(MilvusError, match="no valid version"):
        client.server()


def test_a_listing_of_grants_that_does_not_end_is_refused(serve: Serve) -> None:
    roles = milvus_pb2.SelectRoleResponse()
    for number in range(401):
        roles.results.add().role.name = f"role{number}"
    names = [f"d{number}" for number in range(250)]
    databases = milvus_pb2.ListDatabasesResponse(db_names=names)
    with pytest.raises(MilvusError, match="401 roles and 250 databases"):
        read_access_control(serve(SelectRole=roles, ListDatabases=databases))


def keyed(**changes: Any) -> Any:
    answer = described("docs")
    answer.schema.fields.add(name="id", data_type=5, is_primary_key=True)
    answer.schema.fields.add(name="embedding", data_type=101).type_params.add(key="dim", value="2")
    for name, value in changes.items():
        setattr(answer, name, value)
    return answer


def test_a_schema_without_a_usable_primary_key_is_refused(serve: Serve) -> None:
    with pytest.raises(MilvusError, match="without a primary key"):
        describe(serve(DescribeCollection=described("docs", "id")), "docs")


def test_a_number_without_a_name_is_refused(serve: Serve) -> None:
    with pytest.raises(UnsupportedFeature, match="has the ConsistencyLevel 77"):
        describe(serve(DescribeCollection=keyed(consistency_level=77)), "docs")
    answer = keyed()
    answer.schema.functions.add(name="embed", type=77)
    with pytest.raises(UnsupportedFeature, match="'embed' has the FunctionType 77"):
        describe(serve(DescribeCollection=answer), "docs")


@pytest.fixture
def docs(serve: Serve) -> CollectionDescription:
    version = milvus_pb2.GetVersionResponse(version="v2.6.4")
    return describe(serve(DescribeCollection=keyed(), GetVersion=version), "docs")


def column(name: str, **values: list[Any]) -> Any:
    data = schema_pb2.FieldData(field_name=name)
    for kind, items in values.items():
        part = data.vectors if kind == "float_vector" else data.scalars
        getattr(part, kind).data.extend(items)
    return data


@pytest.mark.parametrize(
    ("vectors", "problem"),
    [
        ([], "field 'embedding' of collection 'docs' is missing"),
        ([column("embedding", float_vector=[1.0, 2.0, 3.0])], "are not of type FLOAT_VECTOR"),
        ([column("embedding", float_vector=[1.0, 2.0])], "has 1 values in 2 rows"),
    ],
)
def test_rows_that_do_not_fit_their_schema_are_refused(
    docs: CollectionDescription, vectors: list[Any], problem: str
) -> None:
    with pytest.raises(MilvusError, match=problem) as caught:
        record_batch([column("id", long_data=[1, 2]), *vectors], docs)
    assert caught.value.permanent


def test_rows_without_their_primary_key_are_refused(docs: CollectionDescription) -> None:
    with pytest.raises(MilvusError, match="primary key 'id' is missing"):
        keys_of([column("embedding", float_vector=[1.0, 2.0])], docs.primary_key)
