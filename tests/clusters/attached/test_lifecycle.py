"""Refusals and answers of an attached cluster, and its remains when it is detached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pymilvus import MilvusClient

from backups.capture import job as capture_job
from backups.models import BackupJob
from clusters import jobs as cluster_jobs
from clusters import services
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from tests.clusters.attached.servers import FakeMilvus, LiteServer
from tests.drivers.launched import TOKEN
from vbase_console.tasks.models import Task

Attach = Callable[..., Cluster]
Work = Callable[[], int]


@pytest.fixture
def cluster(attach: Attach, fake: FakeMilvus) -> Cluster:
    return attach(fake.port, labels={"team": "search"})


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


# Refusals


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clusters/{0}/scale", {"resourceConfig": {"computeUnits": 2}}),
        ("/clusters/{0}/scale", {"resourceConfig": {"version": "2.0.0"}}),
        ("/clusters/{0}/restart", {}),
        ("/clusters/{0}/stop", {}),
        ("/clusters/{0}/start", {}),
        ("/{1}/access/rotate", {}),
    ],
)
def test_what_only_its_operator_can_do_is_refused(
    api: Api, cluster: Cluster, path: str, body: dict[str, Any]
) -> None:
    said = api.post(path.format(cluster.cluster_id, cluster.service_id), **body)
    assert said.code == "FAILED_PRECONDITION"
    assert (
        f"{cluster.cluster_id} is attached: it is operated elsewhere"
        in said.body["response"]["message"]
    )


def test_its_task_cannot_be_repeated(api: Api, cluster: Cluster) -> None:
    task = Task.objects.get(subject_id=cluster.pk)
    said = api.post(f"/clusters/{cluster.pk}/task/{task.task_id}/retry")
    assert said.code == "FAILED_PRECONDITION"


# Answers


def test_access_answers_what_was_given(api: Api, attach: Attach, fake: FakeMilvus) -> None:
    cluster = attach(fake.port, endpoint="localhost")
    said = api.get(f"/{cluster.service_id}/access")
    assert (said["endpoint"], said["port"], said["token"]) == ("localhost", fake.port, TOKEN)


def test_its_configuration_has_the_version_only(api: Api, cluster: Cluster) -> None:
    said = api.get(f"/{cluster.organization_id}/clusters/{cluster.pk}")
    resources = said["configuration"]["resources"]
    assert resources.pop("version") == "v2.5.4"
    assert set(resources.values()) == {None}
    assert said["configuration"]["settings"] == {
        "driver": "attached",
        "effectiveCores": None,
        "availableVersions": [],
    }


def test_the_answer_to_attaching_has_no_version_yet(
    api: Api, fake: FakeMilvus, transactional_db: None
) -> None:
    said = api.post("/clusters/attach", name="a", endpoint="127.0.0.1", port=fake.port, token=TOKEN)
    assert said["cluster"]["serviceStatus"] == "CREATING"
    assert said["cluster"]["version"] is None
    task = Task.objects.get(subject_id=said["cluster"]["clusterId"])
    assert said.header("Operation-Id") == task.task_id


def test_the_port_of_milvus_is_the_default(api: Api, transactional_db: None) -> None:
    said = api.post("/clusters/attach", name="a", endpoint="127.0.0.1")
    assert Cluster.objects.get(pk=said["cluster"]["clusterId"]).port == 19530


def test_name_labels_and_protection_can_be_changed(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", name="new", deletionProtection=True)
    assert (said["cluster"]["name"], said["cluster"]["deletionProtection"]) == ("new", True)
    assert said["cluster"]["labels"] == {"team": "search"}


def test_the_token_is_encrypted_at_rest(cluster: Cluster) -> None:
    assert TOKEN not in cluster.sealed_token
    assert now(cluster).token == TOKEN


def test_no_answer_contains_the_token_but_the_one_about_access(api: Api, cluster: Cluster) -> None:
    paths = [
        f"/{cluster.organization_id}/clusters/{cluster.pk}",
        f"/{cluster.service_id}",
        f"/clusters/{cluster.pk}/task",
        f"/list/{cluster.organization_id}",
    ]
    assert all(TOKEN not in api.get(path).response.content.decode() for path in paths)


def test_an_idempotent_request_is_answered_once(
    api: Api, fake: FakeMilvus, transactional_db: None
) -> None:
    body = {"name": "a", "endpoint": "127.0.0.1", "port": fake.port, "token": TOKEN}
    answers = [
        api.send("POST", "/clusters/attach", body=body, Idempotency_Key="once") for _ in range(2)
    ]
    assert answers[0].body == answers[1].body
    assert Cluster.objects.count() == 1


# Detaching


def test_detaching_calls_the_server_with_nothing(
    api: Api, cluster: Cluster, fake: FakeMilvus, work: Work
) -> None:
    fake.received.clear()
    assert api.delete(f"/clusters/{cluster.pk}").status == 200
    work()
    assert (now(cluster).status, now(cluster).sealed_token) == ("DELETED", "")
    assert fake.received == []


def test_a_protected_cluster_is_not_detached(api: Api, cluster: Cluster) -> None:
    api.patch(f"/clusters/{cluster.pk}", deletionProtection=True)
    assert api.delete(f"/clusters/{cluster.pk}").code == "FAILED_PRECONDITION"


def test_access_to_a_detached_cluster_is_refused(api: Api, cluster: Cluster, work: Work) -> None:
    api.delete(f"/clusters/{cluster.pk}")
    work()
    assert api.get(f"/{cluster.service_id}/access").code == "FAILED_PRECONDITION"


@pytest.mark.usefixtures("store")
def test_detaching_keeps_rows_and_backups_and_pauses_policies(
    api: Api, attach: Attach, elsewhere: LiteServer, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, rows=20)
    cluster = attach(elsewhere.port)
    api.post(f"/{cluster.service_id}/backup", collectionNames=["images"], backupName="kept")
    api.post(f"/{cluster.service_id}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3)
    work()
    api.delete(f"/clusters/{cluster.pk}")
    work()
    assert milvus.list_collections() == ["images"]
    assert milvus.query("images", output_fields=["count(*)"]) == [{"count(*)": 20}]
    assert api.get(f"/{cluster.service_id}/backup/kept")["backup"]["status"] == "AVAILABLE"
    policies = api.get(f"/{cluster.service_id}/backup/policy")["policies"]
    assert [policy["isActive"] for policy in policies] == [False]


def test_a_backup_that_does_not_end_delays_the_detachment_for_a_while_only(
    api: Api, cluster: Cluster, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_jobs, "CLEANUP_TIMEOUT_SECONDS", 0.3)
    backup = Task.objects.create(
        task_id="job-hanging",
        organization=cluster.organization,
        kind="BACKUP",
        subject_id="bak-1",
        lock=cluster.lock,
        state="CANCELLING",
        cancel_requested_at=timezone.now(),
        epoch=1,
        lease_until=timezone.now() + timedelta(hours=1),
    )
    deletion = services.delete_cluster(cluster, by="alice")[0]
    work()
    assert now(cluster).status == "DELETED"
    waited = deletion.events.filter(message__contains=f"until {backup.task_id} has cleaned up")
    assert waited.exists()


def test_a_detached_server_can_be_attached_again(
    api: Api, attach: Attach, cluster: Cluster, fake: FakeMilvus, work: Work
) -> None:
    api.delete(f"/clusters/{cluster.pk}")
    work()
    assert attach(fake.port, name=cluster.name).status == "RUNNING"


@pytest.mark.usefixtures("store")
def test_a_backup_in_progress_cleans_up_before_the_detachment(
    api: Api,
    attach: Attach,
    elsewhere: LiteServer,
    milvus: MilvusClient,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The released collection is loaded for the backup, and released again with the token."""
    fill(milvus, rows=20)
    milvus.release_collection("images")
    cluster = attach(elsewhere.port)
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    copy = capture_job._copy

    def detach_first(*arguments: Any) -> Any:
        services.delete_cluster(cluster, by="alice")
        return copy(*arguments)

    monkeypatch.setattr(capture_job, "_copy", detach_first)
    work()
    job = BackupJob.objects.get(task__task_id=said["job"]["jobId"])
    assert (job.task.state, now(cluster).status) == ("CANCELLED", "DELETED")
    assert "NotLoad" in str(milvus.get_load_state("images")["state"])
