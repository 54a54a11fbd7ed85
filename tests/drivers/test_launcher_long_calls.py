"""Long calls, and calls that wait for one collection, hold up no call of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from milvus_lite.engine import collection as engine_collection
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import milvus_pb2

from backups.milvus.client import Client, MilvusAddress, Pending, pairs
from clusters.drivers.embedded.client import ControlClient, check_token
from clusters.drivers.embedded.server import methods
from clusters.drivers.embedded.server.places import Places
from clusters.drivers.embedded.server.read_gate import gate_of
from clusters.drivers.embedded.server.server import MilvusServer
from tests.drivers.conftest import Serve
from tests.drivers.launched import (
    CONTROL,
    TOKEN,
    Launched,
    ids,
    make_collection,
    row,
    rows,
    wait_for,
)

CROWD = 128
BUSY = ("default", "busy")
HIDDEN = "_vbase_restore_1"
ENDLESS = '{"M": 64, "efConstruction": 1000000}'
"""A build that no test sees the end of; it ends when its client leaves."""


# While an index is built, on one compute unit


class Building:
    """A server that builds an index of a collection of a restore."""

    def __init__(self, launched: Launched) -> None:
        self.tenant = launched.client()
        self.console = launched.client(CONTROL)
        self.launched = launched
        endpoint = MilvusAddress(host="127.0.0.1", port=launched.port, credential=CONTROL)
        self.client = Client(endpoint)
        self.pending: Pending | None = None

    def prepare(self) -> None:
        make_collection(self.console, HIDDEN)
        for first in range(0, 10_000, 2_500):
            self.console.insert(HIDDEN, rows(*range(first, first + 2_500)))
        self.console.flush(HIDDEN)
        make_collection(self.tenant, "other")
        self.tenant.insert("other", row(1))

    def begin(self) -> None:
        kinds = {"index_type": "HNSW", "metric_type": "L2", "params": ENDLESS}
        request = milvus_pb2.CreateIndexRequest(
            collection_name=HIDDEN, field_name="vector", extra_params=pairs(kinds)
        )
        self.pending = self.client.begin("CreateIndex", request)
        wait_for(self.is_under_way)

    def is_under_way(self) -> bool:
        assert self.pending is not None
        progress = self.launched.control("IndexProgress", database="default", collection=HIDDEN)
        return not self.pending.wait(0) and 0 < progress["indexed"] < progress["total"]

    def end(self) -> None:
        if self.pending is not None:
            self.pending.cancel()
        self.client.close()


@pytest.fixture
def building(launch: Callable[..., Launched]) -> Iterator[Building]:
    building = Building(launch("--cores", "1"))
    building.prepare()
    building.begin()
    yield building
    building.end()


def test_another_collection_is_read_and_written_while_an_index_is_built(
    building: Building,
) -> None:
    for number in range(2, 12):
        building.tenant.insert("other", row(number))
        assert building.tenant.query("other", ids=[number])
    assert ids(building.tenant, "other") == set(range(1, 12))
    assert building.is_under_way()


def test_the_collection_itself_is_read_while_its_index_is_built(building: Building) -> None:
    assert building.console.query(HIDDEN, ids=[7], output_fields=["id"])[0]["id"] == 7
    assert building.console.get_collection_stats(HIDDEN)["row_count"] == 10_000
    assert building.is_under_way()


def test_an_index_is_in_progress_until_it_is_built(building: Building) -> None:
    described = building.console.describe_index(HIDDEN, "vector")
    assert described["state"] == "InProgress"
    assert 0 < described["pending_index_rows"] < described["total_rows"] == 10_000
    assert building.is_under_way()


def test_another_collection_is_flushed_indexed_and_dropped_while_an_index_is_built(
    building: Building,
) -> None:
    building.tenant.flush("other")
    parameters = building.tenant.prepare_index_params()
    parameters.add_index("vector", index_type="HNSW", metric_type="L2")
    building.tenant.create_index("other", parameters)
    building.tenant.load_collection("other")
    building.tenant.drop_collection("other")
    assert building.is_under_way()


def test_a_crowd_that_waits_for_a_build_holds_up_no_writer_of_another_collection(
    building: Building,
) -> None:
    """Each deletion waits in a thread of the console's until the build has ended."""
    deletion = milvus_pb2.DeleteRequest(collection_name=HIDDEN, expr="id == 0")
    waiting = [building.client.begin("Delete", deletion) for _ in range(30)]
    building.console.insert("other", row(2))
    assert ids(building.console, "other") == {1, 2}
    assert building.launched.health()["ready"]
    assert not any(call.wait(0) for call in waiting)
    assert building.is_under_way()


# While writers wait for a collection


@pytest.fixture
def served(serve: Serve) -> tuple[MilvusServer, MilvusClient]:
    """A server in this process with one permit, whose locks a test can hold."""
    server, client = serve()
    server._permits.resize(1)
    server._bulk_permits.resize(1)
    for name in ("busy", "other"):
        make_collection(client, name)
    return server, client


def waiting(server: MilvusServer) -> int:
    return len(server._locks._waiting)


@contextmanager
def crowd(server: MilvusServer, client: MilvusClient) -> Iterator[list[futures.Future[Any]]]:
    """Writers of one collection, all of which wait for its lock until the block ends."""
    with futures.ThreadPoolExecutor(CROWD) as threads, server._locks.held(lambda: [BUSY]):
        writers = [threads.submit(client.insert, "busy", row(n)) for n in range(CROWD)]
        wait_for(lambda: waiting(server) == CROWD)
        yield writers
        assert waiting(server) == CROWD


def port_of(client: MilvusClient) -> int:
    return int(str(client._config.uri).rpartition(":")[2])


def test_another_collection_is_served_while_128_writers_wait(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    with crowd(server, client) as writers:
        client.insert("other", row(1))
        assert client.query("other", ids=[1])
        assert client.list_collections() == ["busy", "other"]
    assert [writer.result(60)["insert_count"] for writer in writers] == [1] * CROWD
    assert ids(client, "busy") == set(range(CROWD))


def test_the_console_is_answered_while_128_writers_wait(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    port = port_of(client)
    with crowd(server, client):
        assert ControlClient(port, CONTROL).call("Health")["ready"]
        check_token(port, TOKEN)
        with Client(MilvusAddress(host="127.0.0.1", port=port, credential=CONTROL)) as console:
            assert console.collections() == ["busy", "other"]


def test_the_collection_is_read_while_128_writers_wait_for_it(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    with crowd(server, client):
        assert client.query("busy", filter="id >= 0") == []


def test_a_writer_that_was_cancelled_or_too_late_leaves_nothing(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    endpoint = MilvusAddress(host="127.0.0.1", port=port_of(client), credential=TOKEN)
    deletion = milvus_pb2.DeleteRequest(collection_name="busy", expr="id == 1")
    client.insert("busy", row(1))
    with Client(endpoint) as other, server._locks.held(lambda: [BUSY]):
        cancelled = other.begin("Delete", deletion)
        wait_for(lambda: waiting(server) == 1)
        cancelled.cancel()
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            client.insert("busy", row(2), timeout=1)
        wait_for(lambda: waiting(server) == 0)
    assert ids(client, "busy") == {1}
    assert not server._gateway._tenant.places._taken


def test_a_crowd_is_refused_with_the_code_that_sdks_retry(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    server._gateway._tenant.places = Places(4)
    with futures.ThreadPoolExecutor(3) as threads:
        with server._locks.held(lambda: [BUSY]):
            for number in (1, 2):
                threads.submit(client.insert, "busy", row(number))
                wait_for(lambda: waiting(server) == number)  # noqa: B023
            with pytest.raises(MilvusException, match="too many calls") as refused:
                client.insert("busy", row(3), retry_on_rate_limit=False)
            assert refused.value.code == 8
            retried = threads.submit(client.insert, "busy", row(4))
            assert client.query("other", filter="id >= 0") == []
        assert retried.result(60)["insert_count"] == 1
    assert ids(client, "busy") == {1, 2, 4}


# While a flush waits for readers


@contextmanager
def flush_that_waits(server: MilvusServer, call: Callable[[], Any]) -> Iterator[None]:
    """A reader stays in the collection, and the call's flush waits for it."""
    room = gate_of(server._engine.get_collection("busy"))
    with futures.ThreadPoolExecutor(1) as thread:
        with room.reading():
            flush = thread.submit(call)
            wait_for(lambda: room._flushes)
            yield
            assert room._flushes
        flush.result(60)


def test_a_flush_that_waits_for_readers_holds_up_no_other_collection(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    client.insert("busy", row(1))
    with flush_that_waits(server, lambda: client.flush("busy")):
        client.insert("other", row(1))
        client.flush("other")
        assert ids(client, "other") == {1}
    assert ids(client, "busy") == {1}


def test_an_insert_that_flushes_gives_its_permit_back_meanwhile(
    served: tuple[MilvusServer, MilvusClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = served
    client.insert("other", row(1))
    monkeypatch.setattr(engine_collection, "MEMTABLE_MEMORY_LIMIT", 1)
    with flush_that_waits(server, lambda: client.insert("busy", row(1))):
        assert ids(client, "other") == {1}
    assert ids(client, "busy") == {1}


def test_readers_that_wait_for_a_flush_hold_up_no_other_collection(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    client.insert("busy", row(1))
    with futures.ThreadPoolExecutor(1) as thread:
        with flush_that_waits(server, lambda: client.flush("busy")):
            reader = thread.submit(ids, client, "busy")
            wait_for(lambda: "busy" in {key[1] for key in server._gateway._tenant.places._taken})
            assert client.query("other", filter="id >= 0") == []
            assert not reader.done()
        assert reader.result(60) == {1}


def test_a_reader_that_waits_for_compaction_gives_its_permit_back(
    served: tuple[MilvusServer, MilvusClient],
) -> None:
    server, client = served
    lock = server._engine.get_collection("busy")._maintenance_lock
    with futures.ThreadPoolExecutor(1) as thread:
        with lock:
            reader = thread.submit(client.query, "busy", filter="id >= 0")
            wait_for(lambda: server._permits._taken == 0 and server._gateway._tenant.places._taken)
            assert client.query("other", filter="id >= 0") == []
            assert not reader.done()
        assert reader.result(60) == []


# The tables


def test_the_table_of_methods_names_methods_of_the_protocol() -> None:
    service = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
    known = set(service.methods_by_name)
    assert known >= methods.LONG | methods.WRITE_ROWS | methods.UNCOUNTED
    assert not methods.LONG & methods.UNCOUNTED
