"""Errors say what failed, where, and whether trying again may help."""

from __future__ import annotations

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError, MilvusNotFound, NotOffered, Refused, error_of_status
from backups.milvus.losses import changes, forgotten, losses, refusals
from backups.milvus.server import ServerInfo
from backups.milvus.snapshot import pin_timestamp
from tests.drivers.launched import TOKEN, Launched
from tests.milvus.rooms import Room, endpoint
from tests.ports import free_port

EMBEDDED = ServerInfo(version="milvus_lite-3.2.2")
OLD, NEW = ServerInfo(version="v2.3.5-lite"), ServerInfo(version="v2.6.4")
KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)


def field(data_type: DataType, **options: bool) -> FieldDescription:
    return FieldDescription(name="f", data_type=data_type, params={"dim": "8"}, **options)


def of(*fields: FieldDescription) -> CollectionDescription:
    return CollectionDescription(name="c", fields=(KEY, *fields))


def test_nobody_listens(cluster: Launched) -> None:
    with (
        Client(endpoint(port := free_port(), TOKEN), quick_seconds=5) as client,
        pytest.raises(MilvusError, match=rf"GetVersion at 127.0.0.1:{port}.*running") as caught,
    ):
        client.server()
    assert not caught.value.permanent


def test_a_wrong_token_is_permanent_and_is_not_told(cluster: Launched) -> None:
    with (
        Client(endpoint(cluster.port, "wrong token")) as client,
        pytest.raises(MilvusError, match="rotated") as caught,
    ):
        client.server()
    assert caught.value.permanent
    assert "wrong token" not in f"{caught.value} {client.endpoint!r}"


def test_a_call_that_is_not_offered_is_permanent(milvus: Client) -> None:
    with pytest.raises(NotOffered, match="not available"):
        milvus.call("GetReplicas", milvus_pb2.GetReplicasRequest())


def test_a_deadline_ends_the_wait(cluster: Launched) -> None:
    with (
        Client(endpoint(cluster.port, TOKEN), quick_seconds=-1) as client,
        pytest.raises(MilvusError, match="DEADLINE_EXCEEDED") as caught,
    ):
        client.server()
    assert not caught.value.permanent


def test_it_works_in_another_database(cluster: Launched, milvus: Client) -> None:
    milvus.create_database("elsewhere")
    with Client(endpoint(cluster.port, TOKEN, database="elsewhere")) as client:
        assert client.collections() == []
    milvus.drop_database("elsewhere")
    assert "elsewhere" not in milvus.databases()


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        ({"code": 100}, MilvusNotFound, True),
        ({"error_code": 4}, MilvusNotFound, True),
        ({"code": 8}, MilvusError, False),
        ({"code": 1, "retriable": True}, MilvusError, False),
        ({"code": 1100}, Refused, True),
    ],
)
def test_the_status_decides(status: dict[str, int], kind: type, permanent: bool) -> None:
    error = error_of_status(common_pb2.Status(reason="because", **status), "Query")
    assert type(error) is kind
    assert error.permanent is permanent
    assert "because" in str(error)


def test_no_instant_is_said_in_words(room: Room) -> None:
    pinned = pin_timestamp(room.milvus, [room.describe(room.make())])
    assert pinned.timestamp is None
    assert "not from one instant" in pinned.warnings[0]


@pytest.mark.parametrize(
    ("server", "made_of", "reason"),
    [
        (EMBEDDED, of(field(DataType.BINARY_VECTOR)), "BINARY_VECTOR"),
        (OLD, of(field(DataType.FLOAT16_VECTOR)), "FLOAT16_VECTOR"),
        (OLD, of(field(DataType.INT8, nullable=True)), "nullable"),
    ],
)
def test_what_a_server_lacks_is_refused_in_words(
    server: ServerInfo, made_of: CollectionDescription, reason: str
) -> None:
    (refusal,) = refusals(server, made_of)
    assert reason in refusal
    assert server.version in refusal


def test_what_a_server_has_is_not_refused() -> None:
    assert refusals(NEW, of(field(DataType.INT8_VECTOR), field(DataType.INT8, nullable=True))) == ()
    assert refusals(EMBEDDED, of(field(DataType.SPARSE_FLOAT_VECTOR))) == ()


def test_losses_are_named_where_there_are_any() -> None:
    assert "zeros" in losses(EMBEDDED, of(field(DataType.FLOAT_VECTOR, nullable=True)))[0]
    assert losses(EMBEDDED, of(field(DataType.FLOAT_VECTOR))) == ()
    assert losses(NEW, of(field(DataType.FLOAT_VECTOR, nullable=True))) == ()
    assert forgotten(EMBEDDED)
    assert "fields" in forgotten(NEW)[0]
    assert not forgotten(OLD)


def test_keys_that_are_made_anew_are_named() -> None:
    numbered = CollectionDescription(
        name="c",
        fields=(
            FieldDescription(
                name="id", data_type=DataType.INT64, is_primary_key=True, auto_id=True
            ),
        ),
    )
    assert "generates new keys" in changes(OLD, numbered)[0]
    assert "allow_insert_auto_id" in changes(NEW, numbered)[0]
    assert changes(EMBEDDED, numbered) == ()
