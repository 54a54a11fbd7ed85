"""Generated keys never overwrite given ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import MilvusClient

from clusters.drivers.embedded.server.auto_ids import LARGEST_ID
from tests.drivers.launched import DIMENSION, Launched, ids, make_collection, rows


def generated(client: MilvusClient, collection: str, count: int) -> set[int]:
    new = [{"vector": [0.5] * DIMENSION} for _ in range(count)]
    return set(client.insert(collection, new)["ids"])


@pytest.fixture
def restored(client: MilvusClient, collection: str) -> str:
    """A collection with generated keys into which rows came with their old ones."""
    make_collection(client, collection, auto_id=True)
    _insert_columns(client, collection, list(range(1, 21)))
    return collection


def _insert_columns(client: MilvusClient, collection: str, keys: list[int]) -> None:
    client.upsert(collection, rows(*keys))


def test_new_keys_stand_above_the_given_ones(client: MilvusClient, restored: str) -> None:
    assert min(generated(client, restored, 20)) > 20
    assert len(ids(client, restored)) == 40


def test_they_do_after_one_very_large_key(client: MilvusClient, restored: str) -> None:
    _insert_columns(client, restored, [7_000_000])
    assert min(generated(client, restored, 2)) > 7_000_000


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("end", ["end", "kill"])
def test_they_do_after_a_restart(launch: Callable[..., Launched], end: str, flush: bool) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "keys", auto_id=True)
    _insert_columns(client, "keys", [500, 90_000])
    _ = flush and client.flush("keys")
    getattr(launched, end)()
    assert min(generated(launched.start().client(), "keys", 3)) > 90_000


def test_they_do_after_a_rename(client: MilvusClient, restored: str) -> None:
    _insert_columns(client, restored, [4_000])
    client.rename_collection(restored, f"{restored}_new")
    assert min(generated(client, f"{restored}_new", 3)) > 4_000


def test_they_do_after_a_truncation(client: MilvusClient, restored: str) -> None:
    before = generated(client, restored, 5)
    client.truncate_collection(restored)
    assert not before & generated(client, restored, 5)


def test_given_keys_are_kept(client: MilvusClient, restored: str) -> None:
    found: list[dict[str, Any]] = client.get(restored, ids=[3])
    assert found[0]["vector"] == [3.0] * DIMENSION


@pytest.mark.parametrize("flush", [True, False])
def test_the_largest_key_leaves_ids_below_it(
    client: MilvusClient, restored: str, flush: bool
) -> None:
    _insert_columns(client, restored, [LARGEST_ID, -(2**63), -7])
    _ = flush and client.flush(restored)
    new = generated(client, restored, 20) | generated(client, restored, 20)
    assert len(new) == 40
    assert 20 < min(new) <= max(new) < LARGEST_ID
    assert client.query(restored, output_fields=["count(*)"])[0]["count(*)"] == 63


def test_a_key_given_into_the_range_below_is_not_generated(
    client: MilvusClient, restored: str
) -> None:
    _insert_columns(client, restored, [LARGEST_ID])
    following = max(generated(client, restored, 3)) + 2
    _insert_columns(client, restored, [following])
    assert following not in generated(client, restored, 5)
    assert len(client.get(restored, ids=[following])) == 1


@pytest.mark.parametrize("end", ["end", "kill"])
def test_ids_below_the_largest_key_are_new_after_a_restart(
    launch: Callable[..., Launched], end: str
) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "keys", auto_id=True)
    _insert_columns(client, "keys", [LARGEST_ID])
    before = generated(client, "keys", 3)
    getattr(launched, end)()
    client = launched.start().client()
    assert not generated(client, "keys", 3) & (before | {LARGEST_ID})
    assert client.query("keys", output_fields=["count(*)"])[0]["count(*)"] == 7
