"""Index builds of a restore are counted row by row, cancelled with their call, and continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2

from backups.milvus.client import Client, MilvusAddress, Pending, pairs
from tests.drivers.launched import CONTROL, Launched, make_collection, rows, wait_for

ROWS = 6000
AT_ONCE = 1500
SLOW = '{"M": 32, "efConstruction": 3000}'


@pytest.fixture
def console(launch: Callable[..., Launched]) -> Iterator[Client]:
    """A client of a server with one core, so that a build is slow enough to be observed."""
    launched = launch()
    console = Client(MilvusAddress(host="127.0.0.1", port=launched.port, credential=CONTROL))
    console.launched = launched  # type: ignore[attr-defined]
    yield console
    console.close()


@pytest.fixture
def hidden(console: Client) -> str:
    """A collection of a restore, filled and without an index."""
    name = "_vbase_restore_1"
    tenant: MilvusClient = console.launched.client(CONTROL)  # type: ignore[attr-defined]
    make_collection(tenant, name, index=None)
    for first in range(0, ROWS, AT_ONCE):
        tenant.insert(name, rows(*range(first, first + AT_ONCE)))
    console.flush([name])
    return name


def build(console: Client, name: str) -> Pending:
    kinds = {"index_type": "HNSW", "metric_type": "L2", "params": SLOW}
    request = milvus_pb2.CreateIndexRequest(
        collection_name=name, field_name="vector", extra_params=pairs(kinds)
    )
    return console.begin("CreateIndex", request)


def progress(console: Client, name: str) -> tuple[int, int]:
    launched: Launched = console.launched  # type: ignore[attr-defined]
    found = launched.control("IndexProgress", database="default", collection=name)
    return found["indexed"], found["total"]


def is_under_way(console: Client, name: str) -> bool:
    done, total = progress(console, name)
    return 0 < done < total


def test_a_build_is_counted_while_it_goes_on(console: Client, hidden: str) -> None:
    building = build(console, hidden)
    wait_for(lambda: is_under_way(console, hidden))
    building()
    assert progress(console, hidden) == (ROWS, ROWS)


def test_a_build_that_nobody_waits_for_ends(console: Client, hidden: str) -> None:
    building = build(console, hidden)
    wait_for(lambda: is_under_way(console, hidden))
    building.cancel()
    wait_for(lambda: progress(console, hidden) == (0, ROWS))
    console.drop(hidden)
    assert console.collections() == []


def test_what_was_left_is_gone_on_with_by_a_load(console: Client, hidden: str) -> None:
    building = build(console, hidden)
    wait_for(lambda: is_under_way(console, hidden))
    building.cancel()
    wait_for(lambda: progress(console, hidden) == (0, ROWS))
    release = milvus_pb2.ReleaseCollectionRequest(collection_name=hidden)
    console.call("ReleaseCollection", release)
    console.call("LoadCollection", milvus_pb2.LoadCollectionRequest(collection_name=hidden))
    assert progress(console, hidden) == (ROWS, ROWS)


def test_a_collection_without_an_index_has_nothing_to_build(console: Client, hidden: str) -> None:
    assert progress(console, hidden) == (0, 0)
    assert progress(console, "nobody") == (0, 0)
