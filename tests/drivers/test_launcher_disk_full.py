"""A server whose disk takes nothing more: it says so, and what is dropped makes room.

No file of the process may grow beyond a limit, so the kernel refuses every longer write.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from milvus_lite.storage.manifest import Manifest
from pymilvus import MilvusException

from clusters.drivers.embedded.server.engine import Engine
from tests.drivers.launched import DIMENSION, Launched, ids, make_collection, rows

SCHEMA = CollectionSchema(
    fields=[
        FieldSchema(name="id", dtype=DataType.INT64, is_primary=True),
        FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=DIMENSION),
    ]
)
SMALLEST = 2048
LATER = range(1000, 1200)


def limit_files(pid: int, size: int) -> None:
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_rows_that_find_no_room_are_refused_and_the_others_stay(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "kept")
    client.insert("kept", rows(*range(10)))
    limit_files(launched.pid, SMALLEST)
    with pytest.raises(MilvusException, match="File too large"):
        client.insert("kept", rows(*LATER))
    assert ids(client, "kept") == set(range(10))


def test_a_collection_can_be_dropped_to_make_room(launch: Callable[..., Launched]) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "unflushed")
    client.insert("unflushed", rows(*LATER))
    limit_files(launched.pid, SMALLEST)
    client.drop_collection("unflushed")
    assert client.list_collections() == []
    limit_files(launched.pid, resource.RLIM_INFINITY)
    make_collection(client, "unflushed")
    client.insert("unflushed", rows(1))
    assert ids(launched.restart().client(), "unflushed") == {1}


@pytest.mark.parametrize("end", ["end", "kill"])
def test_rows_outlive_a_flush_that_found_no_room(launch: Callable[..., Launched], end: str) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "kept")
    client.insert("kept", rows(*LATER))
    limit_files(launched.pid, SMALLEST)
    with pytest.raises(MilvusException):
        client.flush("kept")
    assert ids(client, "kept") == set(LATER)
    limit_files(launched.pid, resource.RLIM_INFINITY)
    client.insert("kept", rows(1))
    client.flush("kept")
    getattr(launched, end)()
    assert ids(launched.start().client(), "kept") == {1, *LATER}


def test_rows_that_are_written_after_a_refusal_outlive_a_kill(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "kept")
    client.insert("kept", rows(*range(10)))
    limit_files(launched.pid, SMALLEST)
    with pytest.raises(MilvusException):
        client.insert("kept", rows(*LATER))
    limit_files(launched.pid, resource.RLIM_INFINITY)
    client.insert("kept", rows(11, 12))
    launched.kill()
    assert {*range(10), 11, 12} <= ids(launched.start().client(), "kept")


def test_rows_outlive_a_catalogue_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the files of a flush and the line that lists them."""
    engine = Engine(tmp_path)
    collection = engine.create_collection("kept", SCHEMA)
    collection.insert(rows(*range(10)))
    monkeypatch.setattr(Manifest, "save", refuse)
    with pytest.raises(OSError, match="No space left"):
        collection.flush()
    assert collection.num_entities == 10
    monkeypatch.undo()
    collection.insert(rows(11))
    collection.flush()
    engine.close()
    engine = Engine(tmp_path)
    again = engine.get_collection("kept")
    assert {row["id"] for row in again.query("id >= 0", ["id"])} == {*range(10), 11}
    assert again.num_entities == 11
    engine.close()


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
