"""Whole backups and restores against a full Milvus, which has neither snapshots nor, at this age,
read timestamps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups.milvus.client import Client
from backups.milvus.schema import describe
from backups.services.backups import plan_backup
from backups.services.jobs import cancel_job
from clusters.models import Cluster
from tests.full_milvus.conftest import BackUp, Restore, Work
from tests.milvus.rooms import unused_name

pytestmark = pytest.mark.timeout(600)
ROWS = 50


def make(tenant: MilvusClient, *, index: bool = True) -> str:
    name, schema = unused_name(), tenant.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=50)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=16)
    tenant.create_collection(name, schema=schema, consistency_level="Strong")
    tenant.create_partition(name, "other")
    for partition in ("_default", "other"):
        tenant.insert(name, [_row(partition, n) for n in range(ROWS)], partition_name=partition)
    if index:
        parameters = tenant.prepare_index_params()
        parameters.add_index(
            "bits", index_type="BIN_IVF_FLAT", metric_type="JACCARD", params={"nlist": 4}
        )
        tenant.create_index(name, parameters)
        tenant.create_alias(name, f"{name}_alias")
    return name


def _row(partition: str, number: int) -> dict[str, Any]:
    return {"id": f'"{partition}" \\ {number}', "bits": bytes([number, 255]), "extra": number}


def loaded(tenant: MilvusClient, name: str) -> None:
    tenant.load_collection(name)


def released(tenant: MilvusClient, name: str) -> None:
    tenant.release_collection(name)


def half_loaded(tenant: MilvusClient, name: str) -> None:
    tenant.release_collection(name)
    tenant.load_partitions(name, ["other"])


@pytest.mark.parametrize("as_it_is", [loaded, released, half_loaded])
def test_it_is_left_and_comes_back_as_it_was(
    as_it_is: Callable[[MilvusClient, str], None],
    tenant: MilvusClient,
    milvus: Client,
    back_up: BackUp,
    restore: Restore,
) -> None:
    as_it_is(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = back_up(name)
    assert (job.task.state, job.backup.row_count) == ("SUCCEEDED", 2 * ROWS)
    assert describe(milvus, name) == before
    tenant.drop_alias(f"{name}_alias")
    tenant.drop_collection(name)
    task = restore(job.backup)
    assert task.state == "SUCCEEDED", task.message
    assert describe(milvus, name) == before


def test_it_takes_the_place_of_what_there_is(
    tenant: MilvusClient, milvus: Client, back_up: BackUp, restore: Restore
) -> None:
    loaded(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = back_up(name)
    tenant.delete(name, filter="extra < 10")
    task = restore(job.backup, on_conflict="REPLACE")
    assert task.state == "SUCCEEDED", task.message
    assert (describe(milvus, name), milvus.count(name)) == (before, 2 * ROWS)
    assert [each for each in milvus.collections() if each.startswith("_vbase_")] == []


def test_what_no_server_would_read_is_refused_with_a_reason(
    tenant: MilvusClient, back_up: BackUp
) -> None:
    name = make(tenant, index=False)
    task = back_up(name).task
    assert task.state == "FAILED"
    assert "bits has no index" in task.message


def test_the_job_says_that_it_is_of_no_single_instant(
    tenant: MilvusClient, back_up: BackUp
) -> None:
    loaded(tenant, name := make(tenant))
    job = back_up(name)
    assert "may be missing or present" in " ".join(job.task.warnings)
    assert "may be missing or present" in " ".join(job.backup.warnings)


def test_a_key_that_it_counts_and_gives_to_no_query_is_not_dropped_silently(
    tenant: MilvusClient, back_up: BackUp
) -> None:
    tenant.create_collection(name := unused_name(), dimension=8, consistency_level="Strong")
    tenant.insert(name, [{"id": number, "vector": [0.5] * 8} for number in (1, 2**63 - 1)])
    job = back_up(name)
    assert f"Collection {name}: the server counts 2 rows and returned 1." in job.task.warnings


def test_the_job_names_what_it_has_loaded_and_released_again(
    tenant: MilvusClient, back_up: BackUp
) -> None:
    released(tenant, name := make(tenant))
    (warning,) = [each for each in back_up(name).task.warnings if "released afterwards" in each]
    assert name in warning


def test_a_cancelled_backup_releases_what_it_loaded(
    cluster: Cluster, tenant: MilvusClient, milvus: Client, database: str, work: Work
) -> None:
    released(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = plan_backup(cluster, db_name=database, collection_names=[name]).submit(by="alice")
    cancel_job(job, by="alice")
    work()
    assert describe(milvus, name) == before
