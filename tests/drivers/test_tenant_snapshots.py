"""Snapshots that tenants take and restore with the SDK."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from pymilvus import MilvusClient, MilvusException

from clusters.drivers.embedded.server.auto_ids import LARGEST_ID
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks
from clusters.drivers.embedded.server.snapshots import SnapshotStore
from tests.drivers.launched import CONTROL, Launched, ids, make_collection, nearest, row, rows

KILLED = (sys.executable, "-m", "tests.drivers.killed_restore")


@pytest.fixture
def written(client: MilvusClient, collection: str) -> str:
    """Rows in segments, in memory, deleted and overwritten, in two partitions, with an index."""
    make_collection(client, collection, index="HNSW")
    client.create_partition(collection, "part")
    client.load_collection(collection)
    client.insert(collection, rows(*range(50)))
    client.flush(collection)
    client.delete(collection, ids=list(range(10)))
    client.insert(collection, rows(*range(100, 110)), partition_name="part")
    client.upsert(collection, [row(20, colour="red")])
    return collection


def restored(client: MilvusClient, snapshot: str, source: str, **target: str) -> str:
    name = target.pop("name", f"{source}_restored")
    job = client.restore_snapshot(snapshot, source, name, **target)
    state = client.get_restore_snapshot_state(job)
    assert (state.state, state.progress, state.collection_name) == (
        "RestoreSnapshotCompleted",
        100,
        name,
    )
    return name


def test_a_tenants_snapshot_is_listed_described_and_dropped(
    server: Launched, client: MilvusClient, written: str
) -> None:
    client.create_snapshot("mine", written, description="before the change")
    assert client.list_snapshots(written) == ["mine"]
    described = client.describe_snapshot("mine", collection_name=written)
    assert (described.name, described.collection_name) == ("mine", written)
    assert described.description == "before the change"
    assert sorted(described.partition_names) == ["_default", "part"]
    client.drop_snapshot("mine", collection_name=written)
    assert client.list_snapshots(written) == []


def test_a_restore_makes_a_collection_as_it_was(client: MilvusClient, written: str) -> None:
    client.create_snapshot("mine", written)
    client.delete(written, filter="id >= 0")
    name = restored(client, "mine", written)
    client.load_collection(name)
    assert ids(client, name) == {*range(10, 50), *range(100, 110)}
    assert client.get(name, ids=[20])[0]["colour"] == "red"
    assert client.get_partition_stats(name, "part")["row_count"] == 10
    assert nearest(client, name, 30) == 30
    assert client.list_indexes(name) == ["vector"]
    assert ids(client, written) == set()


def test_a_restored_collection_is_released_until_it_is_loaded(
    client: MilvusClient, written: str
) -> None:
    client.create_snapshot("mine", written)
    name = restored(client, "mine", written)
    with pytest.raises(MilvusException, match="load"):
        ids(client, name)


def test_a_restored_collection_is_written_apart_from_its_source(
    client: MilvusClient, written: str
) -> None:
    client.create_snapshot("mine", written)
    name = restored(client, "mine", written)
    client.load_collection(name)
    for _ in range(6):  # enough flushes for a compaction, which removes the old files
        client.upsert(name, rows(*range(10)))
        client.flush(name)
    client.drop_collection(name)
    again = restored(client, "mine", written)
    client.load_collection(again)
    assert ids(client, again) == {*range(10, 50), *range(100, 110)}


@pytest.mark.parametrize("end", ["end", "kill"])
def test_snapshot_and_restored_collection_outlive_a_restart(
    launch: Callable[..., Launched], end: str
) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "source", index="HNSW")
    client.load_collection("source")
    client.insert("source", rows(1, 2))
    client.create_snapshot("mine", "source")
    client.drop_collection("source")
    client.load_collection(restored(client, "mine", "source", name="loaded"))
    restored(client, "mine", "source", name="released")
    getattr(launched, end)()
    client = launched.start().client()
    assert ids(client, "loaded") == {1, 2}
    assert client.list_snapshots("source") == ["mine"]
    with pytest.raises(MilvusException, match="load"):
        ids(client, "released")
    with pytest.raises(MilvusException, match="no restore job"):
        client.get_restore_snapshot_state(1)


def test_generated_ids_are_new_in_a_restored_collection(
    client: MilvusClient, collection: str
) -> None:
    make_collection(client, collection, auto_id=True)
    client.upsert(collection, rows(5, 7_000, LARGEST_ID))
    client.create_snapshot("mine", collection)
    name = restored(client, "mine", collection)
    new = set(client.insert(name, [{"vector": [0.5] * 8} for _ in range(20)])["ids"])
    assert not new & {5, 7_000, LARGEST_ID}
    assert len(ids(client, name)) == 23


def test_a_snapshot_follows_a_rename(client: MilvusClient, written: str) -> None:
    client.create_snapshot("mine", written)
    client.rename_collection(written, f"{written}_new")
    assert client.list_snapshots(written) == []
    assert client.list_snapshots(f"{written}_new") == ["mine"]


def test_collections_may_have_snapshots_of_the_same_name(
    client: MilvusClient, written: str
) -> None:
    other = f"{written}_other"
    make_collection(client, other)
    for name in (written, other):
        client.create_snapshot("same", name)
    client.drop_snapshot("same", other)
    assert client.list_snapshots(written) == ["same"]
    with pytest.raises(MilvusException, match=r"'same'.*exists.*another name"):
        client.create_snapshot("same", written)


def test_a_snapshot_is_restored_into_another_database(
    server: Launched, client: MilvusClient, written: str
) -> None:
    client.create_database(written)
    client.create_snapshot("mine", written)
    name = restored(client, "mine", written, target_db_name=written)
    assert name not in client.list_collections()
    inside = server.client(db_name=written)
    inside.load_collection(name)
    assert len(ids(inside, name)) == 50
    assert [job.collection_name for job in inside.list_restore_snapshot_jobs()] == [name]


def test_a_client_of_a_database_finds_its_snapshots_there(
    server: Launched, client: MilvusClient, collection: str
) -> None:
    client.create_database(collection)
    inside = server.client(db_name=collection)
    make_collection(inside, "source")
    inside.create_snapshot("mine", "source")
    restored(inside, "mine", "source", name="target")
    assert inside.list_collections() == ["source", "target"]
    assert "mine" not in client.list_snapshots("source")


@pytest.mark.parametrize(
    ("snapshot", "target", "message"),
    [
        ("none", "fine", r"no snapshot 'none'.*list_snapshots"),
        ("mine", "_vbase_x", "reserved for the console"),
        ("mine", "{source}", "exists"),
        ("mine", "{source}_alias", "exists"),
        ("mine", "../up", "name"),
        ("mine", "", "target_collection_name"),
    ],
)
def test_what_cannot_be_restored_is_refused(
    client: MilvusClient, written: str, snapshot: str, target: str, message: str
) -> None:
    client.create_snapshot("mine", written)
    client.create_alias(written, f"{written}_alias")
    with pytest.raises(MilvusException, match=message):
        client.restore_snapshot(snapshot, written, target.format(source=written))


@pytest.mark.parametrize("name", ["../up", "a/b", "a b", "x" * 300])
def test_a_name_that_could_be_a_path_is_refused(
    client: MilvusClient, written: str, name: str
) -> None:
    with pytest.raises(MilvusException, match=r"snapshot|name"):
        client.create_snapshot(name, written)


def test_a_snapshot_of_nothing_is_refused(client: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="no collection"):
        client.create_snapshot("s", "nothing")


def test_the_consoles_snapshots_are_out_of_a_tenants_reach(
    server: Launched, client: MilvusClient, written: str
) -> None:
    server.control("CreateSnapshot", name=written, database="default", collections=[written])
    assert client.list_snapshots(written) == []
    with pytest.raises(MilvusException, match="no snapshot"):
        client.drop_snapshot(written, written)
    client.create_snapshot("mine", written)
    assert "mine" not in server.control("ListSnapshots")["names"]
    hidden = f"_vbase_{written}"
    make_collection(server.client(token=CONTROL), hidden)
    with pytest.raises(MilvusException, match="does not exist"):
        client.create_snapshot("mine", hidden)


def test_a_rename_into_another_database_is_refused(client: MilvusClient, written: str) -> None:
    client.create_database(written)
    with pytest.raises(MilvusException, match="to another database is not available"):
        client.rename_collection(written, "new", target_db=written)
    assert client.has_collection(written)


def test_a_restore_that_is_killed_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Kills at each change of a file; the program says after each what it found."""
    run = subprocess.run([*KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = run.stdout.split()
    assert len(found) > 10
    assert set(found) == {"nothing", "all"}
    assert found == sorted(found, reverse=True)  # nothing, until the one step that shows it all


def test_the_kill_of_that_program_is_one(tmp_path: Path) -> None:
    run = subprocess.run([*KILLED, str(tmp_path), "3"], check=False)
    assert run.returncode == -signal.SIGKILL


def test_a_snapshot_dropped_meanwhile_is_left_out_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SnapshotStore(cast(Engine, None), CollectionLocks(), tmp_path)
    monkeypatch.setattr(store, "names", lambda: ["dropped"])
    assert store.describe_all() == []
