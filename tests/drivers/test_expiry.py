"""Rows expire after their time to live, never before it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus import MilvusClient, MilvusException

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.expiry import PROPERTY, Expiry
from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from tests.drivers.launched import DIMENSION, wait_for

LIFE = 100
LATEST = LIFE * 1.04
TOO_LARGE_FOR_A_FLOAT = str(10**400)
COLLECTION: Key = ("default", "c")


class Room:
    """A collection and a clock."""

    def __init__(self, directory: Path, name: str = "c") -> None:
        self.engine = Engine(directory)
        self.name = name
        self.now = 1_000_000.0
        self.begin()
        if not self.engine.has_collection(name):
            key = FieldSchema(name="id", dtype=DataType.INT64, is_primary=True)
            vector = FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=1)
            schema = CollectionSchema(fields=[key, vector])
            self.engine.create_collection(name, schema, properties={PROPERTY: str(LIFE)})

    def begin(self) -> None:
        self.locks = CollectionLocks()
        self.expiry = Expiry(self.engine, self.locks, now=lambda: self.now)

    @property
    def collection(self) -> Any:
        return self.engine.get_collection(self.name)

    def write(self, *keys: int) -> None:
        self.collection.insert([{"id": key, "vector": [1.0]} for key in keys])

    def wait(self, seconds: float) -> None:
        """Let time pass in the steps of sweeps."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1, end)
            self.expiry.sweep()

    def keys(self) -> set[int]:
        return {row["id"] for row in self.collection.query("id >= 0")}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.engine.close()


@pytest.mark.parametrize("flush", [True, False])
def test_rows_live_as_long_as_they_should_and_no_longer(room: Room, flush: bool) -> None:
    room.write(1, 2)
    _ = flush and room.collection.flush()
    room.wait(LIFE / 2)
    room.write(3)
    room.wait(LIFE / 2)
    assert room.keys() == {1, 2, 3}
    room.wait(LATEST - LIFE)
    assert room.keys() == {3}
    room.wait(LIFE / 2)
    assert room.keys() == set()


def test_a_row_that_is_written_while_a_sweep_waits_lives_as_long_as_it_should(room: Room) -> None:
    with futures.ThreadPoolExecutor(1) as threads:
        with room.locks.held(lambda: [COLLECTION]):
            sweep = threads.submit(room.expiry.sweep)
            wait_for(lambda: room.locks._waiting)
            room.now += LIFE
            room.write(1)
        sweep.result(30)
    room.wait(LIFE - 1)
    assert room.keys() == {1}
    room.wait(LATEST - LIFE + 1)
    assert room.keys() == set()


@pytest.mark.parametrize("flush", [True, False])
def test_a_row_that_is_written_again_begins_a_new_life(room: Room, flush: bool) -> None:
    room.write(1, 2)
    room.collection.flush()
    room.wait(LIFE - 10)
    room.write(2)
    _ = flush and room.collection.flush()
    room.wait(50)
    assert room.keys() == {2}


def test_a_deleted_row_can_be_written_again(room: Room) -> None:
    room.write(1)
    room.collection.flush()
    room.collection.delete([1])
    room.wait(LIFE)
    room.write(1)
    room.wait(LIFE - 1)
    assert room.keys() == {1}


def test_the_age_of_rows_outlives_a_restart(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.write(1)
    room.wait(LIFE - 10)
    room.engine.close()
    again = Room(tmp_path)
    again.now = room.now
    assert again.keys() == {1}
    again.wait(LATEST - LIFE + 10)
    assert again.keys() == set()
    again.engine.close()


def test_rows_of_unknown_age_live_on_from_when_the_property_is_set(room: Room) -> None:
    room.engine.alter_collection_properties("c", delete_keys=[PROPERTY])
    room.write(1)
    room.wait(10 * LIFE)
    room.engine.alter_collection_properties("c", properties={PROPERTY: str(LIFE)})
    room.wait(LIFE)
    assert room.keys() == {1}
    room.wait(LATEST - LIFE)
    assert room.keys() == set()


@pytest.mark.parametrize("value", ["0", "-1", "soon", TOO_LARGE_FOR_A_FLOAT])
def test_rows_without_a_time_to_live_stay(room: Room, value: str) -> None:
    room.engine.alter_collection_properties("c", properties={PROPERTY: value})
    room.write(1)
    room.wait(10 * LIFE)
    assert room.keys() == {1}


def test_a_dropped_collection_is_forgotten(room: Room) -> None:
    room.wait(1)
    assert list(room.expiry._due) == [COLLECTION]
    room.engine.drop_collection("c")
    room.wait(1)
    assert room.expiry._due == {}


def test_rows_that_are_being_restored_stay(tmp_path: Path) -> None:
    room = Room(tmp_path, "_vbase_restore_1")
    room.write(1)
    room.wait(10 * LIFE)
    assert room.keys() == {1}
    room.engine.close()


def test_a_tenants_rows_expire(client: MilvusClient, collection: str) -> None:
    client.create_collection(collection, dimension=DIMENSION, properties={PROPERTY: 1})
    client.insert(collection, [{"id": 1, "vector": [0.5] * DIMENSION}])
    wait_for(lambda: client.query(collection, filter="id == 1") == [])


def test_a_time_to_live_that_is_none_is_refused(client: MilvusClient, collection: str) -> None:
    with pytest.raises(MilvusException, match="must be a whole number of seconds"):
        client.create_collection(collection, dimension=DIMENSION, properties={PROPERTY: "soon"})
