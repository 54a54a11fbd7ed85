from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from backups.names import MAX_COLLECTIONS
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def of(cluster: Cluster, make_cluster: MakeCluster) -> str:
    """A cluster that is being created, so that its contents cannot be listed yet."""
    return f"/{make_cluster('new', running=False).service_id}/backup"


def test_it_answers_a_job_and_says_where_it_is(api: Api, of: str) -> None:
    said = api.post(of, collectionNames=["images"])
    job_id = said["job"]["jobId"]
    assert said.header("Operation-Id") == job_id
    assert said.header("Location") == f"/v1/vbase/jobs/{job_id}"
    assert api.get(str(said.header("Location")))["job"]["status"] == "PENDING"


def test_a_name_is_made_of_database_and_time(api: Api, of: str) -> None:
    job = api.post(of, collectionNames=["images"], dbName="sales")["job"]
    assert job["dbName"] == "sales"
    assert Backup.objects.get().name == job["backupName"]
    assert job["backupName"].startswith("sales-20")


def test_a_name_is_legal_whatever_the_database_is_called(api: Api, of: str) -> None:
    job = api.post(of, collectionNames=["images"], dbName="_sales of 2026")["job"]
    assert job["backupName"].startswith("sales_of_2026-20")
    assert api.get(f"{of}/{job['backupName']}").status == 200


NOWHERE = [
    *[{"dbName": name} for name in ("ventas_año", "a\nb", "a/b", "..\\x", " a", "a\x7f", "..")],
    *[{"collectionNames": ["images", name]} for name in ("a/b", "..\\x", "é" * 128)],
]


@pytest.mark.parametrize("body", NOWHERE)
def test_what_no_server_calls_anything_is_not_found(
    api: Api, of: str, cluster: Cluster, body: dict[str, object]
) -> None:
    for path in (of, f"/{cluster.service_id}/backup"):
        said = api.post(path, **({"collectionNames": ["images"]} | body))
        refused = "cannot be the name of a" in said["response"]["message"]
        assert (said.code, refused) == ("NOT_FOUND", True)
    assert not Backup.objects.exists()


@pytest.mark.parametrize("nothing", ["", None])
def test_what_is_empty_is_left_out(api: Api, of: str, nothing: str | None) -> None:
    said = api.post(of, collectionNames=["images"], dbName=nothing, backupName=nothing)
    assert said["job"]["dbName"] == "default"
    assert said["job"]["backupName"].startswith("default-20")


def test_both_spellings_are_taken(api: Api, of: str) -> None:
    said = api.post(of, collection_names=["a", "b"], db_name="sales", backup_name="n")
    assert (said["job"]["collectionNames"], said["job"]["backupName"]) == (["a", "b"], "n")


WRONG = [
    ({}, "collectionNames"),
    ({"collectionNames": []}, "collectionNames"),
    ({"collectionNames": "images"}, "collectionNames"),
    ({"collectionNames": ["images", ""]}, "collectionNames.1"),
    ({"collectionNames": ["images", 5]}, "collectionNames.1"),
    ({"collectionNames": ["_vbase_restore_x"]}, "collectionNames"),
    ({"collectionNames": ["images"], "backupName": "restore"}, "backupName"),
    ({"collectionNames": ["images"], "backupName": "with space"}, "backupName"),
    ({"collectionNames": ["images"], "backupName": "n" * 129}, "backupName"),
    ({"collectionNames": ["images"], "dbName": 5}, "dbName"),
    ({"collectionNames": ["images"], "policyId": "pol-1"}, "policyId"),
    ({"collectionNames": ["images"], "serviceId": "svc-other"}, "serviceId"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_wrong_is_named(api: Api, of: str, body: dict[str, object], field: str) -> None:
    said = api.post(of, **body)
    assert (said.code, [field]) == ("INVALID_ARGUMENT", list(said.field_errors))
    assert not Backup.objects.exists()


def test_a_taken_name_is_refused_also_where_another_service_has_it(
    api: Api, of: str, backup: Backup
) -> None:
    said = api.post(of, collectionNames=["images"], backupName=backup.name)
    assert (said.code, said.status) == ("ALREADY_EXISTS", 409)


def test_the_name_of_what_is_gone_is_free_again(api: Api, of: str, cluster: Cluster) -> None:
    seed_backup(cluster, "nightly", status="GONE")
    assert api.post(of, collectionNames=["images"], backupName="nightly").status == 200


@pytest.mark.parametrize("status", ["stopped", "deleted"])
def test_a_cluster_that_does_not_run_is_refused(
    api: Api, make_cluster: MakeCluster, work: Callable[[], int], status: str
) -> None:
    cluster = make_cluster("still")
    path = f"/clusters/{cluster.cluster_id}"
    api.delete(path) if status == "deleted" else api.post(f"{path}/stop")
    work()
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    assert said.code == "FAILED_PRECONDITION"


def test_a_cluster_that_cannot_be_asked_now_is_unavailable(api: Api, cluster: Cluster) -> None:
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    assert (said.status, said.header("Retry-After")) == (503, "5")


def test_the_cluster_is_asked_before_the_transaction_begins(
    api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    from backups.services import backups

    seen: list[bool] = []
    monkeypatch.setattr(
        backups, "require_collections", lambda *_: seen.append(connection.in_atomic_block)
    )
    assert api.post(f"/{cluster.service_id}/backup", collectionNames=["images"]).status == 200
    assert seen == [False]


def test_a_key_gives_one_backup(api: Api, of: str) -> None:
    body = {"collectionNames": ["images"]}
    first, again = (api.send("POST", of, body=body, Idempotency_Key="k") for _ in range(2))
    assert first["job"] == again["job"]
    assert Backup.objects.count() == 1


def test_history_names_the_backup_and_the_job(api: Api, of: str) -> None:
    job = api.post(of, collectionNames=["images"], backupName="nightly")["job"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.detail) == (
        *("CreateBackup", "nightly"),
        job["jobId"],
    )


def test_a_refusal_leaves_history_and_no_job(api: Api, of: str) -> None:
    api.post(of, collectionNames=[])
    assert AuditEntry.objects.get().outcome == "REFUSED"
    assert not Task.objects.filter(kind="BACKUP").exists()


def test_a_stranger_finds_no_service_to_back_up(stranger: Api, of: str) -> None:
    assert stranger.post(of, collectionNames=["images"]).status == 404


def test_three_thousand_collections_are_taken(api: Api, of: str) -> None:
    names = [f"c{number:04}" for number in range(3_000)]
    assert api.post(of, collectionNames=names)["job"]["collectionNames"] == names


def test_more_than_may_be_named_are_refused_in_words(api: Api, of: str) -> None:
    said = api.post(of, collectionNames=["c"] * (MAX_COLLECTIONS + 1))
    assert said.field_errors == {"collectionNames": ["Name at most 10,000 collections."]}
