"""Many writers, snapshots meanwhile, kill -9 at any moment: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager

import pytest
from pymilvus import MilvusClient, MilvusException

from clusters.drivers.base import DriverError
from tests.drivers.launched import Launched, ids, make_collection, rows, wait_for
from tests.ports import free_port

WRITERS = 4
BATCH = 20
DEFAULT = {"database": "default"}
SMALL_MEMORY = {"MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES": "100000"}
"""Flushes come every thousand rows or so instead of every million."""


class Writers:
    """Threads that insert rows of their own ranges and remember what was acknowledged."""

    def __init__(self, launched: Launched, collection: str) -> None:
        self.acknowledged: list[set[int]] = [set() for _ in range(WRITERS)]
        self.stopped = threading.Event()
        self._clients = [launched.client() for _ in range(WRITERS)]
        self._collection = collection
        self._launched = launched

    @property
    def rows(self) -> set[int]:
        return set().union(*self.acknowledged)

    @contextmanager
    def running(self) -> Iterator[Writers]:
        with futures.ThreadPoolExecutor(WRITERS) as threads:
            for number in range(WRITERS):
                threads.submit(self._write, number)
            try:
                yield self
            finally:
                self.stopped.set()

    def _write(self, number: int) -> None:
        following = number * 10_000_000
        while not self.stopped.is_set():
            batch = range(following, following + BATCH)
            try:
                self._clients[number].insert(self._collection, rows(*batch), timeout=20)
                self.acknowledged[number].update(batch)
            except MilvusException:
                if self._launched.has_ended():
                    return  # what it did not acknowledge may be gone
            following += BATCH


def torment(
    launched: Launched,
    collection: str,
    *,
    rows_wanted: int,
    forgiven: type[Exception] | None = None,
) -> set[int]:
    """Write from all sides, snapshot all the while, kill; answers the acknowledged rows."""
    make_collection(launched.client(), collection)
    with Writers(launched, collection).running() as writers:
        snapshots = 0
        while len(writers.rows) < rows_wanted:
            with contextlib.suppress(*filter(None, [forgiven])):
                launched.control("CreateSnapshot", name=f"{collection}_{snapshots}", **DEFAULT)
            snapshots += 1
        launched.kill()
    return writers.rows


def found_after_restart(launched: Launched, collection: str) -> set[int]:
    launched.start()
    return ids(launched.client(), collection)


@pytest.mark.parametrize("memory", [{}, SMALL_MEMORY], ids=["large memory", "small memory"])
def test_four_writers_snapshots_and_kill_9_lose_no_acknowledged_row(
    launch: Callable[..., Launched], collection: str, memory: dict[str, str]
) -> None:
    launched = launch("--cores", "2", **memory)
    acknowledged = torment(launched, collection, rows_wanted=10_000)
    assert acknowledged - found_after_restart(launched, collection) == set()


@pytest.mark.torture
def test_without_the_locks_rows_are_lost(launch: Callable[..., Launched], collection: str) -> None:
    """The same trial; a single one is lucky now and then."""
    launched = launch("--unsafe-without-locks", "--cores", "2")
    assert any(_loses_rows(launched, f"{collection}_{trial}") for trial in range(10))


def _loses_rows(launched: Launched, collection: str) -> bool:
    acknowledged = torment(launched, collection, rows_wanted=10_000, forgiven=DriverError)
    return bool(acknowledged - found_after_restart(launched, collection))


@pytest.mark.torture
def test_kill_9_again_and_again_loses_nothing(
    launch: Callable[..., Launched], collection: str
) -> None:
    launched = launch("--cores", "2")
    for trial in range(8):
        name = f"{collection}_{trial}"
        acknowledged = torment(launched, name, rows_wanted=20_000)
        assert acknowledged - found_after_restart(launched, name) == set()


def test_six_first_clients_after_a_restart_lose_nothing(
    launch: Callable[..., Launched], collection: str
) -> None:
    launched = launch()
    make_collection(launched.client(), collection)
    launched.restart()
    clients = [launched.client() for _ in range(6)]
    with futures.ThreadPoolExecutor(6) as threads:
        written = [
            threads.submit(clients[n].insert, collection, rows(*range(n * 100, n * 100 + 100)))
            for n in range(6)
        ]
        futures.wait(written)
    launched.kill()
    assert found_after_restart(launched, collection) == set(range(600))


def test_many_writers_of_one_key_leave_one_row(server: Launched, collection: str) -> None:
    clients = [server.client() for _ in range(4)]
    make_collection(clients[0], collection)
    with futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.upsert(collection, rows(1)), clients * 5))
    assert ids(clients[0], collection) == {1}


def test_clean_end_keeps_every_row(launch: Callable[..., Launched], collection: str) -> None:
    launched = launch()
    make_collection(launched.client(), collection)
    launched.client().insert(collection, rows(*range(500)))
    launched.restart()
    assert ids(launched.client(), collection) == set(range(500))


def test_writers_wait_no_longer_than_for_the_flush(server: Launched, collection: str) -> None:
    """A collection that is being indexed in the background can be pinned meanwhile."""
    client = server.client()
    make_collection(client, collection, index="HNSW")
    client.load_collection(collection)
    client.insert(collection, rows(*range(3_000)))
    server.control("CreateSnapshot", name=collection, database="default", collections=[collection])
    assert len(ids(client, collection)) == 3_000


def test_health_answers_while_every_thread_is_busy(server: Launched, collection: str) -> None:
    client = server.client()
    make_collection(client, collection)
    client.insert(collection, rows(*range(2_000)))
    busy = [server.client() for _ in range(8)]
    with futures.ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(_count_often, each, collection) for each in busy]
        assert wait_for(lambda: server.health().get("ready"), 10)
        futures.wait(asked)


def _count_often(client: MilvusClient, collection: str) -> None:
    for _ in range(5):
        ids(client, collection)


@pytest.mark.torture
def test_kill_9_amid_changes_of_names_leaves_whole_collections(
    launch: Callable[..., Launched],
) -> None:
    launched = launch("--cores", "2")
    for trial in range(12):
        with futures.ThreadPoolExecutor(2) as threads:
            for name in (f"a{trial}", f"b{trial}"):
                threads.submit(_change_for_ever, launched, name)
            time.sleep(0.5 + trial * 0.13)
            launched.kill()
        launched.port = free_port()  # gRPC waits before it tries an address again that failed
        client = launched.start().client()
        assert launched.health()["failures"] == {}
        for name in client.list_collections():
            assert ids(client, name) in (set(), set(range(50))), name


def _change_for_ever(launched: Launched, name: str) -> None:
    """Until the server is killed: make, fill, rename, truncate, drop."""
    client = launched.client()
    with contextlib.suppress(MilvusException, ValueError):
        while not launched.has_ended():
            make_collection(client, name, index="HNSW")
            client.insert(name, rows(*range(50)))
            client.load_collection(name)
            client.rename_collection(name, f"{name}_new")
            client.truncate_collection(f"{name}_new")
            client.drop_collection(f"{name}_new")


@pytest.mark.torture
def test_an_idle_connection_stays_open(server: Launched) -> None:
    """pymilvus pings every ten seconds; a server that minds says goodbye after some of them."""
    client = server.client()
    time.sleep(75)
    assert client.get_server_version()
