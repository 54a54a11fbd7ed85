"""Batches go in whole, in messages of bounded size, into the partition they are meant for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pymilvus import DataType

from backups.archive.columns import arrow_schema
from backups.milvus.client import Client
from backups.milvus.create import create
from backups.milvus.errors import MilvusError, TooLarge
from backups.milvus.insert import Inserter
from tests.milvus.rooms import DIMENSION, Room, checksum, content, row, unused_name


@pytest.fixture
def written(room: Room) -> str:
    name = room.make()
    room.tenant.insert(name, [row(key, float(key), n=key) for key in range(100)])
    return name


@pytest.fixture
def sizes(room: Room, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each message sent."""
    sent: list[int] = []
    original = Client.begin

    def begin(self: Client, method: str, request: Any, **options: Any) -> Callable[[], Any]:
        if method == "Insert":
            sent.append(request.num_rows)
        return original(self, method, request, **options)

    monkeypatch.setattr(Client, "begin", begin)
    return sent


def into_new(room: Room, name: str, **options: Any) -> str:
    (scan,) = room.pin(name)
    create(room.milvus, scan.collection, copy := unused_name())
    inserter = Inserter(room.milvus, scan.collection, copy, **options)
    for each in scan.batches():
        inserter.add(each.batch, each.partition)
    inserter.finish()
    assert inserter.rows == scan.rows()
    return copy


def test_messages_are_bounded(room: Room, written: str, sizes: list[int]) -> None:
    copy = into_new(room, written, message_bytes=500)
    assert sum(sizes) == 100
    assert max(sizes) < 20
    assert content(room.pinned(copy)) == content(room.pinned(written))


def test_what_is_too_large_is_sent_in_halves(
    room: Room, written: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_above(monkeypatch, 30)
    copy = into_new(room, written)
    assert sizes == [25] * 4
    assert content(room.pinned(copy)) == content(room.pinned(written))


def test_a_row_that_no_message_holds_is_named(
    room: Room, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_above(monkeypatch, 0)
    with pytest.raises(MilvusError, match="A row of") as caught:
        into_new(room, written)
    assert caught.value.permanent


def _refuse_above(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    original = Client.begin

    def begin(self: Client, method: str, request: Any, **options: Any) -> Callable[[], Any]:
        if method == "Insert" and request.num_rows > most:
            return _too_large
        return original(self, method, request, **options)

    monkeypatch.setattr(Client, "begin", begin)


def _too_large() -> Any:
    raise TooLarge("too large", permanent=False)


def test_a_missing_sparse_vector_stays_missing(room: Room) -> None:
    name, schema = unused_name(), room.tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR, nullable=True)
    room.tenant.create_collection(name, schema=schema)
    wanted = _sparse_or_not(arrow_schema(room.describe(name)))
    inserter = Inserter(room.milvus, room.describe(name), name)
    inserter.add(wanted, "_default")
    inserter.finish()
    assert content(room.pinned(name)) == content(room.wire(name)) == checksum([wanted])


def _sparse_or_not(schema: pa.Schema) -> pa.RecordBatch:
    pair = bytes.fromhex("07000000 0000803f")
    rows = [(1, pair), (2, None), (3, None), (4, pair)]
    columns = {
        "id": [key for key, _ in rows],
        "vector": [[0.5] * DIMENSION] * len(rows),
        "sparse": [sparse for _, sparse in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def test_an_error_of_the_server_is_passed_on(room: Room, written: str) -> None:
    (scan,) = room.pin(written)
    inserter = Inserter(room.milvus, scan.collection, missing := unused_name())
    inserter.add(next(scan.batches()).batch, "_default")
    with pytest.raises(MilvusError, match=missing):
        inserter.finish()
