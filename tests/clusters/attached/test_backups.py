"""Backups of attached clusters, and restores between them and the console's own clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.protection.discovery_scan import scan_due
from backups.protection.models import KnownCollection
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from tests.clusters.attached.drivers import driver, machine
from tests.clusters.attached.servers import FakeMilvus, LiteServer
from vbase_console.tasks.models import Task

__all__ = ["driver", "machine"]
pytestmark = pytest.mark.usefixtures("store")

Attach = Callable[..., Cluster]
Work = Callable[[], int]
ROWS = 60


@pytest.fixture
def attached(attach: Attach, elsewhere: LiteServer) -> Cluster:
    return attach(elsewhere.port)


@pytest.fixture
def embedded(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster("embedded")


@pytest.fixture
def own(embedded: Cluster) -> Iterator[MilvusClient]:
    client = MilvusClient(f"http://{embedded.host}:{embedded.port}", token=embedded.token)
    yield client
    client.close()


@pytest.fixture
def finish(api: Api, work: Work) -> Callable[..., dict[str, Any]]:
    """Request a job, run it, and return how it ended."""

    def finish(path: str, **body: Any) -> dict[str, Any]:
        said = api.post(path, **body)
        assert said.status == 200, said.body
        work()
        job: dict[str, Any] = api.get(f"/jobs/{said['job']['jobId']}")["job"]
        return job

    return finish


def content(client: MilvusClient, name: str = "images") -> list[dict[str, Any]]:
    rows = client.query(name, filter="id >= 0", output_fields=["*"], limit=1000)
    return sorted(
        ({**row, "vector": list(map(float, row["vector"]))} for row in rows),
        key=lambda row: row["id"],
    )


def back_up(finish: Callable[..., dict[str, Any]], cluster: Cluster) -> None:
    job = finish(
        f"/{cluster.service_id}/backup", collectionNames=["images"], backupName="the-backup"
    )
    assert (job["status"], job["rowCount"]) == ("SUCCEEDED", ROWS), job


def restore(
    finish: Callable[..., dict[str, Any]], target: Cluster, **fields: Any
) -> dict[str, Any]:
    job = finish(f"/{target.service_id}/backup/restore", backupName="the-backup", **fields)
    assert job["status"] == "SUCCEEDED", job["message"]
    return job


def test_a_backup_of_an_attached_cluster_is_restored_after_a_drop(
    attached: Cluster, milvus: MilvusClient, finish: Callable[..., dict[str, Any]]
) -> None:
    fill(milvus, rows=ROWS)
    before = content(milvus)
    back_up(finish, attached)
    milvus.drop_collection("images")
    restore(finish, attached)
    assert content(milvus) == before
    assert "Loaded" in str(milvus.get_load_state("images")["state"])


def test_a_backup_is_verified_without_the_server(
    attached: Cluster, milvus: MilvusClient, finish: Callable[..., dict[str, Any]]
) -> None:
    fill(milvus, rows=ROWS)
    back_up(finish, attached)
    Cluster.objects.filter(pk=attached.pk).update(status="ERROR", condition="BROKEN")
    job = finish(f"/{attached.service_id}/backup/the-backup/verify")
    assert job["status"] == "SUCCEEDED"


def test_an_attached_collection_is_replaced(
    attached: Cluster, milvus: MilvusClient, finish: Callable[..., dict[str, Any]]
) -> None:
    fill(milvus, rows=ROWS)
    before = content(milvus)
    back_up(finish, attached)
    milvus.delete("images", filter="id < 30")
    restore(finish, attached, onConflict="REPLACE")
    assert content(milvus) == before
    assert milvus.list_collections() == ["images"]


def test_a_released_collection_is_released_again_after_its_backup(
    attached: Cluster, milvus: MilvusClient, finish: Callable[..., dict[str, Any]]
) -> None:
    fill(milvus, rows=ROWS)
    milvus.release_collection("images")
    back_up(finish, attached)
    assert "NotLoad" in str(milvus.get_load_state("images")["state"])


def test_an_embedded_cluster_is_restored_into_an_attached_one(
    embedded: Cluster,
    own: MilvusClient,
    attached: Cluster,
    milvus: MilvusClient,
    finish: Callable[..., dict[str, Any]],
) -> None:
    fill(own, rows=ROWS)
    before = content(own)
    back_up(finish, embedded)
    restore(finish, attached)
    assert content(milvus) == before


def test_an_attached_cluster_is_restored_into_an_embedded_one(
    embedded: Cluster,
    attached: Cluster,
    milvus: MilvusClient,
    finish: Callable[..., dict[str, Any]],
) -> None:
    fill(milvus, rows=ROWS)
    before = content(milvus)
    back_up(finish, attached)
    restore(finish, embedded, collectionNames=["images"], onConflict="REPLACE")
    client = MilvusClient(f"http://{embedded.host}:{embedded.port}", token=embedded.token)
    assert content(client) == before
    client.close()


def test_collections_and_databases_are_discovered(
    api: Api, attached: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, rows=ROWS)
    said = api.post(f"/{attached.service_id}/backup", collectionNames=["missing"])
    assert said.code == "NOT_FOUND"
    assert "missing" in said["response"]["message"]
    assert (
        api.post(
            f"/{attached.service_id}/backup", collectionNames=["images"], dbName="nowhere"
        ).code
        == "NOT_FOUND"
    )


def test_its_collections_are_uncovered_until_a_policy_covers_them(
    api: Api, attached: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, rows=ROWS)
    assert scan_due() == 1
    (known,) = KnownCollection.objects.filter(cluster=attached)
    assert (known.name, known.policy) == ("images", None)
    api.post(f"/{attached.service_id}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3)
    known.refresh_from_db()
    assert known.policy is not None


def test_a_policy_backs_up_an_attached_cluster(
    api: Api, attached: Cluster, milvus: MilvusClient, finish: Callable[..., dict[str, Any]]
) -> None:
    fill(milvus, rows=ROWS)
    made = api.post(
        f"/{attached.service_id}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3
    )
    job = finish(f"/{attached.service_id}/backup/policy/{made['policy']['policyId']}/run")
    assert (job["status"], job["rowCount"]) == ("SUCCEEDED", ROWS)


def test_a_backup_of_a_server_that_has_gone_fails_with_the_reason(
    api: Api, attach: Attach, work: Work, fake: FakeMilvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = attach(fake.port)
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    assert said.code == "UNAVAILABLE"
    assert not Task.objects.exclude(kind="DEPLOYMENT").exists()


# The token of one server


def test_an_error_of_a_server_that_repeats_the_token_does_not_show_it(
    api: Api, attach: Attach, fake: FakeMilvus
) -> None:
    """The fake refuses every other call with the token in its text."""
    cluster = attach(fake.port)
    fake.repeats_token = True
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    assert "the token is ***" in said["response"]["message"]
    assert fake.token not in said["response"]["message"]
