"""A snapshot is one instant of several collections, and outlives what happens to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from pymilvus import MilvusClient

from clusters.drivers.base import DriverError
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks
from clusters.drivers.embedded.server.snapshots import SnapshotStore
from tests.drivers.launched import Launched, ids, make_collection, row, rows
from tests.drivers.pinned import live_rows


def snapshot(launched: Launched, name: str, *collections: str, **options: Any) -> dict[str, Any]:
    chosen = {"database": "default", "collections": collections, **options}
    return dict(launched.control("CreateSnapshot", name=name, **chosen))


@pytest.fixture
def written(client: MilvusClient, collection: str) -> str:
    """Inserted, flushed, upserted, deleted, and inserted again after a deletion."""
    make_collection(client, collection)
    client.insert(collection, rows(*range(100)))
    client.flush(collection)
    client.delete(collection, ids=list(range(30)))
    client.flush(collection)
    client.upsert(collection, [row(number, colour="red") for number in range(20, 50)])
    client.insert(collection, rows(5))
    client.delete(collection, filter="id >= 90")
    return collection


def test_pinned_files_hold_exactly_the_live_rows(
    server: Launched, client: MilvusClient, written: str
) -> None:
    pinned = live_rows(snapshot(server, written, written), written)
    found = client.query(written, filter="id >= 0", output_fields=["*"])
    assert {key: value["vector"] for key, value in pinned.items()} == {
        each["id"]: each["vector"] for each in found
    }
    assert set(pinned) == {5, *range(20, 90)}


def test_dynamic_fields_are_in_the_pinned_rows(server: Launched, written: str) -> None:
    pinned = live_rows(snapshot(server, written, written), written)
    coloured = {key for key, value in pinned.items() if "red" in (value["$meta"] or "")}
    assert coloured == set(range(20, 50))


def test_it_stays_as_it_was_whatever_is_written_later(
    server: Launched, client: MilvusClient, written: str
) -> None:
    taken = snapshot(server, written, written)
    before = live_rows(taken, written)
    for _ in range(6):  # enough flushes for a compaction, which removes the old files
        client.upsert(written, rows(*range(100)))
        client.flush(written)
    assert live_rows(taken, written) == before


@pytest.mark.parametrize("change", ["drop", "truncate", "rename"])
def test_it_outlives_its_collection(
    server: Launched, client: MilvusClient, written: str, change: str
) -> None:
    taken = snapshot(server, f"{written}_{change}", written)
    before = live_rows(taken, written)
    {
        "drop": lambda: client.drop_collection(written),
        "truncate": lambda: client.truncate_collection(written),
        "rename": lambda: client.rename_collection(written, f"{written}_new"),
    }[change]()
    assert live_rows(taken, written) == before


def test_several_collections_are_pinned_at_one_instant(server: Launched, collection: str) -> None:
    """Every writer writes left, then right: at no instant is right ahead, or left two ahead."""
    left, right = f"{collection}_left", f"{collection}_right"
    for name in (left, right):
        make_collection(server.client(), name)
    stopped = threading.Event()
    with futures.ThreadPoolExecutor(3) as threads:
        for number in range(3):
            threads.submit(_write_both, server.client(), (left, right), number, stopped)
        taken = [snapshot(server, f"{collection}_{n}", left, right) for n in range(12)]
        stopped.set()
    for each in taken:
        assert _is_one_instant(set(live_rows(each, left)), set(live_rows(each, right)))


def _write_both(
    client: MilvusClient, names: tuple[str, str], number: int, stopped: threading.Event
) -> None:
    following = number * 1_000_000
    while not stopped.is_set():
        for name in names:
            client.insert(name, rows(following))
        following += 1


def _is_one_instant(left: set[int], right: set[int]) -> bool:
    ahead = left - right
    writers = [number // 1_000_000 for number in ahead]
    return right <= left and len(writers) == len(set(writers))


class TimedLocks(CollectionLocks):
    """Knows from when to when all writers waited."""

    @contextmanager
    def held(self, resolve: Any) -> Iterator[Any]:
        with super().held(resolve) as keys:
            self.since = datetime.now(UTC)
            yield keys
            self.until = datetime.now(UTC)


def test_its_time_is_one_at_which_nobody_could_write(tmp_path: Path) -> None:
    engine, locks = Engine(tmp_path / "data"), TimedLocks()
    key = FieldSchema(name="id", dtype=DataType.INT64, is_primary=True)
    vector = FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=2)
    engine.create_collection("c", CollectionSchema(fields=[key, vector]))
    taken = SnapshotStore(engine, locks, tmp_path / "snapshots").create("s", database="default")
    engine.close()
    assert locks.since <= datetime.fromisoformat(taken["created_at"]) <= locks.until


def test_what_was_acknowledged_before_its_time_is_in_it(server: Launched, collection: str) -> None:
    make_collection(server.client(), collection)
    acknowledged: list[datetime] = []
    stopped = threading.Event()
    with futures.ThreadPoolExecutor(1) as threads:
        threads.submit(_write_and_note, server.client(), collection, acknowledged, stopped)
        taken = [snapshot(server, f"{collection}_{n}", collection) for n in range(12)]
        answered = datetime.now(UTC)
        stopped.set()
    for each in taken:
        at = datetime.fromisoformat(each["created_at"])
        before = {number for number, when in enumerate(acknowledged) if when < at}
        assert before <= set(live_rows(each, collection))
        assert at < answered


def _write_and_note(
    client: MilvusClient, name: str, acknowledged: list[datetime], stopped: threading.Event
) -> None:
    while not stopped.is_set():
        client.insert(name, rows(len(acknowledged)))
        acknowledged.append(datetime.now(UTC))


def test_no_names_mean_every_collection_but_the_consoles(
    server: Launched, client: MilvusClient, collection: str
) -> None:
    client.create_database(collection)
    inside = server.client(db_name=collection)
    make_collection(inside, "ours")
    make_collection(server.client(token="the console's credential", db_name=collection), "_vbase_x")
    taken = snapshot(server, collection, database=collection)
    assert [each["name"] for each in taken["collections"]] == ["ours"]


def test_it_describes_what_a_reader_needs(
    server: Launched, client: MilvusClient, collection: str
) -> None:
    make_collection(client, collection, index="HNSW")
    client.create_alias(collection, f"{collection}_alias")
    (pinned,) = snapshot(server, collection, f"{collection}_alias")["collections"]
    assert (pinned["name"], pinned["aliases"]) == (collection, [f"{collection}_alias"])
    assert [field["name"] for field in pinned["schema"]["fields"]] == ["id", "vector"]
    assert pinned["indexes"]["vector"]["index_type"] == "HNSW"


def test_the_same_name_again_is_the_same_snapshot(
    server: Launched, client: MilvusClient, written: str
) -> None:
    first = snapshot(server, written, written)
    client.insert(written, rows(1_000))
    assert snapshot(server, written, written) == first


def test_dropping_one_removes_its_files_and_can_be_repeated(server: Launched, written: str) -> None:
    snapshot(server, written, written)
    for _ in range(2):
        server.control("DropSnapshot", name=written)
    assert written not in server.control("ListSnapshots")["names"]
    assert not list((server.data_dir / "snapshots").rglob(f"{written}*"))


def test_it_is_there_after_a_kill(launch: Callable[..., Launched], collection: str) -> None:
    launched = launch()
    make_collection(launched.client(), collection)
    launched.client().insert(collection, rows(1, 2))
    snapshot(launched, "kept", collection)
    launched.kill()
    taken = launched.start().control("DescribeSnapshot", name="kept")
    assert set(live_rows(taken, collection)) == {1, 2}


def test_what_was_cut_short_is_removed_at_the_next_start(launch: Callable[..., Launched]) -> None:
    launched = launch()
    unfinished = launched.data_dir / "snapshots" / "console" / ".unfinished-1"
    unfinished.mkdir()
    launched.restart()
    assert not unfinished.exists()
    assert launched.control("ListSnapshots")["names"] == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("../up", {}, "cannot be the name of a snapshot"),
        ("", {}, "cannot be the name of a snapshot"),
        ("fine", {"collections": ["nothing"]}, "no collection nothing"),
        ("fine", {"database": "nowhere"}, "'nowhere' does not exist"),
        ("fine", {"colour": "red"}, "colour"),
    ],
)
def test_it_says_what_is_wrong(
    server: Launched, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DriverError, match=message):
        snapshot(server, name, **options)


def test_rows_written_meanwhile_are_all_there(
    server: Launched, client: MilvusClient, collection: str
) -> None:
    make_collection(client, collection)
    for number in range(10):
        client.insert(collection, rows(number))
        snapshot(server, f"{collection}_{number}", collection)
    assert ids(client, collection) == set(range(10))
