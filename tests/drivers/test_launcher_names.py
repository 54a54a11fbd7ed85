"""The console's own collections, and what names go through."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent import futures

import pytest
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import milvus_pb2

from clusters.drivers.embedded.server.methods import (
    CHANGE_LOAD_STATE,
    NEW_NAMES,
    READERS,
    UNCOUNTED,
)
from tests.drivers.launched import CONTROL, Launched, ids, make_collection, rows

METHODS = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods_by_name


@pytest.fixture
def console(server: Launched) -> MilvusClient:
    return server.client(token=CONTROL)


@pytest.fixture
def reserved(console: MilvusClient, collection: str) -> str:
    name = f"_vbase_{collection}"
    make_collection(console, name)
    console.insert(name, rows(1, 2))
    return name


def test_the_consoles_collections_are_not_listed_for_tenants(
    client: MilvusClient, console: MilvusClient, reserved: str
) -> None:
    assert reserved not in client.list_collections()
    assert reserved in console.list_collections()


def test_tenants_do_not_find_them_by_name_either(client: MilvusClient, reserved: str) -> None:
    assert not client.has_collection(reserved)
    with pytest.raises(MilvusException, match="does not exist"):
        client.query(reserved, filter="id >= 0")
    with pytest.raises(MilvusException, match="does not exist"):
        client.drop_collection(reserved)


def test_the_console_works_with_them(console: MilvusClient, reserved: str) -> None:
    assert ids(console, reserved) == {1, 2}


def test_tenants_may_not_create_such_a_name(client: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="reserved for the console"):
        make_collection(client, "_vbase_mine")


def test_tenants_may_not_rename_to_such_a_name(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    with pytest.raises(MilvusException, match="reserved for the console"):
        client.rename_collection(collection, "_vbase_mine")


def test_tenants_may_not_give_such_an_alias(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    with pytest.raises(MilvusException, match="reserved for the console"):
        client.create_alias(collection, "_vbase_mine")


def test_the_console_moves_a_collection_into_a_tenants_name(
    client: MilvusClient, console: MilvusClient, collection: str, reserved: str
) -> None:
    console.rename_collection(reserved, collection)
    assert ids(client, collection) == {1, 2}


def test_directories_without_a_schema_go_at_the_next_start(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    orphan = launched.data_dir / "collections" / "orphan"
    (orphan / "wal").mkdir(parents=True)
    launched.restart()
    assert not orphan.exists()
    make_collection(launched.client(), "orphan")


def test_aliases_of_nothing_go_at_the_next_start(launch: Callable[..., Launched]) -> None:
    launched = launch()
    make_collection(launched.client(), "gone")
    launched.client().create_alias("gone", "name")
    launched.kill()
    shutil.rmtree(launched.data_dir / "collections" / "gone")
    make_collection(launched.start().client(), "name")


def test_a_dropped_name_is_free_at_once(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    client.insert(collection, rows(1))
    client.drop_collection(collection)
    make_collection(client, collection)
    assert ids(client, collection) == set()


def test_an_alias_follows_a_rename(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    client.create_alias(collection, f"{collection}_alias")
    client.rename_collection(collection, f"{collection}_new")
    client.insert(f"{collection}_alias", rows(4))
    assert ids(client, f"{collection}_new") == {4}


def test_listing_never_fails_while_collections_come_and_go(
    server: Launched, client: MilvusClient, collection: str
) -> None:
    stopped = threading.Event()
    with futures.ThreadPoolExecutor(2) as threads:
        coming = threads.submit(_come_and_go, server.client(), collection, stopped)
        for _ in range(100):
            client.list_collections()
        stopped.set()
        coming.result()


def _come_and_go(client: MilvusClient, name: str, stopped: threading.Event) -> None:
    while not stopped.is_set():
        make_collection(client, name)
        client.drop_collection(name)


def test_named_databases_are_separate(server: Launched, client: MilvusClient) -> None:
    client.create_database("apart")
    inside = server.client(db_name="apart")
    make_collection(inside, "only_here")
    assert inside.list_collections() == ["only_here"]
    assert "only_here" not in client.list_collections()


def test_every_method_that_the_rules_name_exists() -> None:
    named = READERS | UNCOUNTED | CHANGE_LOAD_STATE | set(NEW_NAMES)
    assert named <= set(METHODS.keys())


def test_no_changing_method_passes_as_a_reader() -> None:
    changing = ("Insert", "Upsert", "Delete", "Flush", "Create", "Drop", "Alter", "Rename", "Load")
    changing += ("Release", "Truncate", "Import", "Restore", "Add", "Update")
    assert not [method for method in READERS if method.startswith(changing)]


@pytest.mark.parametrize("database", ["nowhere", "../..", "a/b"])
def test_an_unknown_database_is_an_error_that_says_so(server: Launched, database: str) -> None:
    with pytest.raises(MilvusException, match=r"database|code=1|invalid"):
        server.client(db_name=database).list_collections()
    assert server.health()["ready"]


def test_a_request_of_some_megabytes_is_taken(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    client.insert(collection, [{**row, "text": "x" * 60_000} for row in rows(*range(200))])
    assert len(ids(client, collection)) == 200
