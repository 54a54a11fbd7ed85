"""Whole backups and restores against a full Milvus, which has neither snapshots nor, at this age,
read timestamps: `make test-milvus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups import connections
from backups.milvus.client import Client
from backups.milvus.schema import describe
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.jobs import cancel_job
from backups.services.restores import plan_restore
from clusters.drivers.base import ConsoleAccess, Endpoint
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.milvus.full import CREDENTIAL, PROGRAM, FullMilvus
from tests.milvus.rooms import endpoint, unused_name
from vbase_console.tasks.models import Task

pytestmark = [
    pytest.mark.full_milvus,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PROGRAM, reason="MILVUS_SERVER names no milvus-server"),
]
ROWS = 50
Work = Callable[[], int]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullMilvus]:
    started = FullMilvus(tmp_path_factory.mktemp("full") / "data")
    yield started
    started.close()


@pytest.fixture
def tenant(full: FullMilvus) -> Iterator[MilvusClient]:
    client = MilvusClient(f"http://127.0.0.1:{full.port}", token=CREDENTIAL, db_name="default")
    yield client
    client.close()


@pytest.fixture
def milvus(full: FullMilvus) -> Iterator[Client]:
    with Client(endpoint(full.port, CREDENTIAL)) as client:
        yield client


@pytest.fixture
def cluster(
    make_cluster: Callable[..., Cluster],
    driver: MemoryDriver,
    full: FullMilvus,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """A row of the console whose Milvus is the full one."""
    access = ConsoleAccess(
        endpoint=Endpoint(host="127.0.0.1", port=full.port), credential=CREDENTIAL, control=None
    )
    monkeypatch.setattr(driver, "console_access", lambda cluster_id: access)
    settings.BACKUP_STORE = str(tmp_path / "store")
    settings.LEASE_SECONDS = 60
    connections.get_store.cache_clear()
    yield make_cluster()
    connections.get_store.cache_clear()


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


def backed_up(cluster: Cluster, work: Work, *names: str) -> BackupJob:
    job = plan_backup(cluster, collection_names=names).submit(by="alice")
    work()
    return BackupJob.objects.select_related("task", "backup").get(pk=job.pk)


def restored(backup: Backup, cluster: Cluster, work: Work, **options: str) -> Task:
    job = plan_restore(backup, cluster, **options).submit(by="alice")
    work()
    return Task.objects.get(pk=job.pk)


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
    cluster: Cluster,
    tenant: MilvusClient,
    milvus: Client,
    work: Work,
) -> None:
    as_it_is(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = backed_up(cluster, work, name)
    assert (job.task.state, job.backup.row_count) == ("SUCCEEDED", 2 * ROWS)
    assert describe(milvus, name) == before
    tenant.drop_alias(f"{name}_alias")
    tenant.drop_collection(name)
    task = restored(job.backup, cluster, work)
    assert task.state == "SUCCEEDED", task.message
    assert describe(milvus, name) == before


def test_it_takes_the_place_of_what_there_is(
    cluster: Cluster, tenant: MilvusClient, milvus: Client, work: Work
) -> None:
    loaded(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = backed_up(cluster, work, name)
    tenant.delete(name, filter="extra < 10")
    task = restored(job.backup, cluster, work, on_conflict="REPLACE")
    assert task.state == "SUCCEEDED", task.message
    assert (describe(milvus, name), milvus.count(name)) == (before, 2 * ROWS)
    assert [each for each in milvus.collections() if each.startswith("_vbase_")] == []


def test_what_no_server_would_read_is_refused_with_a_reason(
    cluster: Cluster, tenant: MilvusClient, milvus: Client, work: Work
) -> None:
    name = make(tenant, index=False)
    task = backed_up(cluster, work, name).task
    assert task.state == "FAILED"
    assert "bits has no index" in task.message


def test_the_job_says_that_it_is_of_no_single_instant(
    cluster: Cluster, tenant: MilvusClient, work: Work
) -> None:
    loaded(tenant, name := make(tenant))
    job = backed_up(cluster, work, name)
    assert "may be missing or present" in " ".join(job.task.warnings)
    assert "may be missing or present" in " ".join(job.backup.warnings)


def test_a_key_that_it_counts_and_gives_to_no_query_is_not_dropped_silently(
    cluster: Cluster, tenant: MilvusClient, work: Work
) -> None:
    tenant.create_collection(name := unused_name(), dimension=8, consistency_level="Strong")
    tenant.insert(name, [{"id": number, "vector": [0.5] * 8} for number in (1, 2**63 - 1)])
    job = backed_up(cluster, work, name)
    assert f"Collection {name}: the server counts 2 rows and returned 1." in job.task.warnings


def test_the_job_names_what_it_has_loaded_and_released_again(
    cluster: Cluster, tenant: MilvusClient, work: Work
) -> None:
    released(tenant, name := make(tenant))
    (warning,) = [
        each for each in backed_up(cluster, work, name).task.warnings if "released again" in each
    ]
    assert name in warning


def test_a_cancelled_backup_releases_what_it_loaded(
    cluster: Cluster, tenant: MilvusClient, milvus: Client, work: Work
) -> None:
    released(tenant, name := make(tenant))
    before = describe(milvus, name)
    job = plan_backup(cluster, collection_names=[name]).submit(by="alice")
    cancel_job(job, by="alice")
    work()
    assert describe(milvus, name) == before
