"""The wire path against a full Milvus, which the embedded engine was not written with in mind.

Half precision and sparse vectors are newer than this server.
"""

from __future__ import annotations

from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups.archive.description import LoadStatus
from backups.milvus import wire
from backups.milvus.client import Client
from backups.milvus.create import create, create_indexes, index_progress, load, loading
from backups.milvus.errors import NotLoaded
from backups.milvus.insert import Inserter
from backups.milvus.losses import changes
from backups.milvus.schema import describe
from backups.milvus.snapshot import pin_timestamp
from backups.milvus.wire import WireScan
from tests.drivers.launched import wait_for
from tests.milvus.generated import NASTY
from tests.milvus.rooms import by_partition, content, keys, unused_name

pytestmark = pytest.mark.timeout(600)

TEXTS = [*NASTY, *(f"key {number}" for number in range(3_000))]


def wide_row(number: int, key: str) -> dict[str, Any]:
    dynamic = {"note": {"é": number}} if number % 2 else {}
    return {
        "id": key,
        "bits": bytes([number % 256, 255]),
        "flag": bool(number % 3),
        "small": number % 100 - 50,
        "single": number / 7,
        "double": 1e300 / (number + 1),
        "document": {"a": [1, 2.5, None], "n": number},
        "numbers": list(range(number % 5)),
        "words": ["", "ü"][: number % 3],
        **dynamic,
    }


@pytest.fixture(scope="module")
def wide(tenant: MilvusClient) -> str:
    name, schema = unused_name(), tenant.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=16)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("small", DataType.INT8, description="between -50 and 49")
    schema.add_field("single", DataType.FLOAT)
    schema.add_field("double", DataType.DOUBLE)
    schema.add_field("document", DataType.JSON)
    arrays = {"datatype": DataType.ARRAY, "max_capacity": 8}
    schema.add_field("numbers", element_type=DataType.INT16, **arrays)
    schema.add_field("words", element_type=DataType.VARCHAR, max_length=20, **arrays)
    tenant.create_collection(name, schema=schema)
    tenant.create_partition(name, "other")
    parameters = tenant.prepare_index_params()
    options = {"index_type": "BIN_IVF_FLAT", "metric_type": "JACCARD", "params": {"nlist": 8}}
    parameters.add_index("bits", index_name="by_bits", **options)
    tenant.create_index(name, parameters)
    tenant.create_alias(name, f"{name}_alias")
    tenant.load_collection(name)
    rows = [wide_row(number, key) for number, key in enumerate(TEXTS)]
    tenant.insert(name, rows[:7])
    tenant.insert(name, rows[7:], partition_name="other")
    return name


def revived(milvus: Client, scan: WireScan) -> str:
    create(milvus, scan.collection, copy := unused_name())
    inserter = Inserter(milvus, scan.collection, copy)
    for each in scan.batches():
        inserter.add(each.batch, each.partition)
    inserter.finish()
    milvus.flush([copy])
    create_indexes(milvus, scan.collection, copy)
    wait_for(lambda: len(set(index_progress(milvus, copy))) == 1, 120)
    load(milvus, copy, scan.collection.load)
    wait_for(lambda: next(loading(milvus, copy, scan.collection.load), 100) == 100, 120)
    return copy


def test_it_comes_back_bit_for_bit(milvus: Client, wide: str) -> None:
    scan = WireScan(milvus, describe(milvus, f"{wide}_alias"))
    copy = revived(milvus, scan)
    again = WireScan(milvus, describe(milvus, copy))
    assert by_partition(again.batches()) == by_partition(scan.batches())
    assert milvus.count(copy) == scan.rows() == len(TEXTS)


def test_the_copy_is_described_as_the_original(milvus: Client, wide: str) -> None:
    original = describe(milvus, wide)
    found = describe(milvus, revived(milvus, WireScan(milvus, original)))
    expected = {**original.to_json(), "name": found.name, "aliases": []}
    assert found.to_json() == expected
    assert original.load.status is LoadStatus.LOADED
    assert original.indexes[0].params["nlist"] == "8"


def test_what_is_read_is_what_was_sent(milvus: Client, wide: str) -> None:
    scanned = list(WireScan(milvus, describe(milvus, wide)).batches())
    found = {row["id"]: row for each in scanned for row in each.batch.to_pylist()}
    assert set(found) == set(TEXTS)
    assert [found[key]["bits"] for key in TEXTS] == [
        bytes([number % 256, 255]) for number in range(len(TEXTS))
    ]
    assert [found[key]["words"] for key in TEXTS[:3]] == [[], [""], ["", "ü"]]


def test_pages_of_few_rows_end_and_give_each_key_once(milvus: Client, wide: str) -> None:
    scan = WireScan(milvus, describe(milvus, wide), max_bytes=40_000)
    assert sorted(keys(scan.batches())) == sorted(TEXTS)


def test_several_connections_read_the_same_rows(
    milvus: Client, wide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "FIRST_PAGE_ROWS", 100)
    one_by_one = list(WireScan(milvus, describe(milvus, wide)).batches())
    with Client(milvus.endpoint, connections=3) as several:
        scan = WireScan(several, describe(several, wide), max_bytes=200_000)
        scanned = list(scan.batches())
        assert content(scan.batches(after=scanned[3].cursor)) == content(scanned[4:])
    assert by_partition(scanned) == by_partition(one_by_one)
    assert sorted(keys(scanned)) == sorted(TEXTS)


def test_several_connections_insert_the_same_rows(milvus: Client, wide: str) -> None:
    scan = WireScan(milvus, describe(milvus, wide))
    with Client(milvus.endpoint, connections=3) as several:
        copy = revived(several, scan)
    assert by_partition(WireScan(milvus, describe(milvus, copy)).batches()) == by_partition(
        scan.batches()
    )


def test_it_goes_on_after_a_cursor(milvus: Client, wide: str) -> None:
    scan = WireScan(milvus, describe(milvus, wide), max_bytes=100_000)
    scanned = list(scan.batches())
    cut = len(scanned) // 2
    assert content(scan.batches(after=scanned[cut - 1].cursor)) == content(scanned[cut:])


def test_numbers_at_both_ends_of_their_range_are_read(milvus: Client, tenant: MilvusClient) -> None:
    """But for the greatest, which this server counts and gives to no query whatever."""
    numbers = [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 3, 2**63 - 2]
    name = unused_name()
    tenant.create_collection(name, dimension=8, consistency_level="Strong")
    tenant.insert(name, [{"id": number, "vector": [0.5] * 8} for number in numbers])
    assert keys(WireScan(milvus, describe(milvus, name), max_bytes=2).batches()) == numbers


def test_a_partition_key_keeps_its_number_of_partitions(
    milvus: Client, tenant: MilvusClient
) -> None:
    name, schema = unused_name(), tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("of", DataType.VARCHAR, max_length=9, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    parameters = tenant.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    tenant.create_collection(name, schema=schema, num_partitions=5, index_params=parameters)
    rows = [{"id": n, "of": f"t{n % 9}", "vector": [n / 3] * 8} for n in range(50)]
    tenant.insert(name, rows)
    scan = WireScan(milvus, describe(milvus, name))
    copy = describe(milvus, revived(milvus, scan))
    assert (scan.collection.num_partitions, copy.num_partitions) == (5, 5)
    assert content(WireScan(milvus, copy).batches()) == content(scan.batches())


def test_generated_keys_are_made_anew_and_that_is_said(
    milvus: Client, tenant: MilvusClient
) -> None:
    name = unused_name()
    tenant.create_collection(name, dimension=8, auto_id=True, consistency_level="Strong")
    tenant.insert(name, [{"vector": [n / 3] * 8} for n in range(20)])
    scan = WireScan(milvus, describe(milvus, name))
    copy = revived(milvus, scan)
    assert milvus.count(copy) == 20
    assert "generates new keys" in changes(milvus.server(), scan.collection)[0]


def test_this_old_one_has_no_instant_and_that_is_said(milvus: Client, wide: str) -> None:
    assert pin_timestamp(milvus, [describe(milvus, wide)]).warnings


def test_a_released_collection_is_not_read(milvus: Client, tenant: MilvusClient) -> None:
    name = unused_name()
    tenant.create_collection(name, dimension=8)
    tenant.release_collection(name)
    with pytest.raises(NotLoaded):
        list(WireScan(milvus, describe(milvus, name)).batches())
