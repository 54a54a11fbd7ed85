"""Searches answer after a restart, a rename or a kill as they did before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient, MilvusException

from tests.drivers.launched import Launched, ids, make_collection, nearest, rows, wait_for


@pytest.fixture
def indexed(client: MilvusClient, collection: str) -> str:
    _make_indexed(client, collection)
    return collection


def _make_indexed(client: MilvusClient, name: str) -> None:
    make_collection(client, name, index="HNSW")
    client.insert(name, rows(*range(50)))
    client.load_collection(name)


def _is_released(client: MilvusClient, name: str) -> bool:
    try:
        nearest(client, name, 1)
    except MilvusException as error:
        return "released" in str(error)
    return False


@pytest.mark.parametrize("end", ["end", "kill"])
def test_a_loaded_collection_is_loaded_after_a_restart(
    launch: Callable[..., Launched], end: str
) -> None:
    launched = launch()
    _make_indexed(launched.client(), "loaded")
    getattr(launched, end)()
    assert nearest(launched.start().client(), "loaded", 7) == 7


@pytest.mark.parametrize("end", ["end", "kill"])
def test_a_released_collection_is_released_after_a_restart(
    launch: Callable[..., Launched], end: str
) -> None:
    launched = launch()
    client = launched.client()
    _make_indexed(client, "released")
    client.release_collection("released")
    getattr(launched, end)()
    assert _is_released(launched.start().client(), "released")


def test_loading_again_is_kept_too(launch: Callable[..., Launched]) -> None:
    launched = launch()
    client = launched.client()
    _make_indexed(client, "again")
    client.release_collection("again")
    client.load_collection("again")
    assert nearest(launched.restart().client(), "again", 7) == 7


def test_it_is_ready_only_when_all_is_loaded(launch: Callable[..., Launched]) -> None:
    launched = launch()
    for number in range(3):
        _make_indexed(launched.client(), f"c{number}")
    health = launched.restart().health()
    assert (health["opened"], health["collections"], health["failures"]) == (3, 3, {})


def test_a_renamed_collection_answers_at_once(client: MilvusClient, indexed: str) -> None:
    client.rename_collection(indexed, f"{indexed}_new")
    assert nearest(client, f"{indexed}_new", 7) == 7


def test_a_renamed_released_collection_stays_released(client: MilvusClient, indexed: str) -> None:
    client.release_collection(indexed)
    client.rename_collection(indexed, f"{indexed}_new")
    assert _is_released(client, f"{indexed}_new")


def test_a_truncated_collection_is_empty_and_answers(client: MilvusClient, indexed: str) -> None:
    client.truncate_collection(indexed)
    assert ids(client, indexed) == set()
    client.insert(indexed, rows(3))
    assert nearest(client, indexed, 3) == 3


def test_a_truncated_collection_keeps_what_describes_it(
    client: MilvusClient, collection: str
) -> None:
    make_collection(client, collection, index="HNSW")
    client.create_partition(collection, "part")
    client.create_alias(collection, f"{collection}_alias")
    client.truncate_collection(collection)
    assert client.list_partitions(collection) == ["_default", "part"]
    assert client.list_indexes(collection) == ["vector"]
    assert client.describe_alias(f"{collection}_alias")["collection_name"] == collection


def test_dropping_the_last_index_makes_it_loaded(client: MilvusClient, indexed: str) -> None:
    client.release_collection(indexed)
    client.drop_index(indexed, "vector")
    assert not _is_released(client, indexed)


def test_one_broken_collection_keeps_no_other_away(launch: Callable[..., Launched]) -> None:
    launched = launch()
    for name in ("broken", "whole"):
        _make_indexed(launched.client(), name)
    launched.end()
    for path in (launched.data_dir / "collections" / "broken").glob("manifest.json*"):
        path.write_text("not a manifest")
    assert "default/broken" in launched.start().health()["failures"]
    assert nearest(launched.client(), "whole", 7) == 7


def test_an_index_file_that_a_kill_cut_short_is_built_anew(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    _make_indexed(launched.client(), "torn")
    launched.client().flush("torn")
    (file,) = wait_for(lambda: list(launched.data_dir.rglob("*.idx")))
    launched.kill()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert launched.start().health()["failures"] == {}
    assert nearest(launched.client(), "torn", 7) == 7


def test_indexes_that_were_not_finished_are_built_behind_a_start(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    _make_indexed(launched.client(), "unfinished")
    launched.client().flush("unfinished")
    (file,) = wait_for(lambda: list(launched.data_dir.rglob("*.idx")))
    launched.kill()
    file.unlink()
    assert nearest(launched.start().client(), "unfinished", 7) == 7
    assert wait_for(file.exists)


def test_a_client_that_loads_rebuilds_a_broken_index_too(launch: Callable[..., Launched]) -> None:
    launched = launch()
    _make_indexed(launched.client(), "torn")
    launched.client().flush("torn")
    (file,) = wait_for(lambda: list(launched.data_dir.rglob("*.idx")))
    launched.client().release_collection("torn")
    file.write_bytes(b"half")
    launched.client().load_collection("torn")
    assert nearest(launched.client(), "torn", 7) == 7
