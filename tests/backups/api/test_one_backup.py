from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import IMAGES, SHA256, seed_backup, seed_job
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import CREATE_BACKUP, DELETE_BACKUP, LIST_BACKUPS
from vbase_console.tasks.states import TaskState

FIELDS = {
    *("backupName", "backupId", "serviceId", "organizationId", "dbName", "status", "collections"),
    *("rowCount", "sizeBytes", "milvusVersion", "policyId", "pinned", "createdAt", "verifiedAt"),
    *("provenAt", "hasAccessControl", "manifestSha256", "location", "held", "damaged", "damage"),
}


@pytest.fixture
def one(of: str, backup: Backup) -> str:
    return f"{of}/{backup.name}"


def test_it_shows_every_field(api: Api, one: str, backup: Backup) -> None:
    shown = api.get(one)["backup"]
    assert set(shown) == FIELDS
    assert (shown["collections"], shown["manifestSha256"]) == ([IMAGES], SHA256)
    assert shown["location"] == f"{backup.organization_id}/{backup.backup_id}"


def test_what_is_being_written_is_null(api: Api, of: str, cluster: Cluster) -> None:
    unknown = {"collections": [], "row_count": None, "size_bytes": None}
    empty = {"milvus_version": "", "manifest_sha256": ""}
    seed_backup(cluster, "new", status=BackupStatus.CREATING, **unknown, **empty)
    shown = api.get(f"{of}/new")["backup"]
    assert (shown["status"], shown["collections"]) == ("CREATING", [])
    absent = ("rowCount", "sizeBytes", "milvusVersion", "policyId", "manifestSha256", "provenAt")
    assert {shown[name] for name in absent} == {None}


def test_it_is_found_under_the_service_that_it_was_taken_from_alone(
    api: Api, backup: Backup, make_cluster: Callable[..., Cluster]
) -> None:
    elsewhere = f"/{make_cluster('other').service_id}/backup/{backup.name}"
    assert api.get(elsewhere).code == "NOT_FOUND"
    assert api.delete(elsewhere).code == "NOT_FOUND"
    assert [api.post(f"{elsewhere}/{verb}").status for verb in ("verify", "pin")] == [404, 404]


def test_it_outlives_its_service(api: Api, one: str, cluster: Cluster) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(status="DELETED")
    assert api.get(one)["backup"]["status"] == "AVAILABLE"
    assert api.post(f"{one}/verify").status == 200
    assert api.delete(one).status == 200


@pytest.mark.parametrize("name", ["nobody", "a%00b"])
def test_what_is_not_there_is_not_found(api: Api, of: str, backup: Backup, name: str) -> None:
    assert api.get(f"{of}/{name}").code == "NOT_FOUND"


def test_what_is_not_there_is_called_by_its_own_name(api: Api, of: str) -> None:
    said = api.get(f"{of}/nobody")["response"]["message"]
    assert said == "Backup 'nobody' not found."


def test_what_is_gone_is_not_found(api: Api, one: str) -> None:
    Backup.objects.update(status=BackupStatus.GONE)
    assert api.get(one).status == 404


# -- verify and pin --------------------------------------------------------------------------------


def test_verifying_is_a_job(api: Api, one: str, backup: Backup) -> None:
    said = api.post(f"{one}/verify")
    assert (said["job"]["jobType"], said["job"]["backupName"]) == ("VERIFY", backup.name)
    assert said.header("Location") == f"/v1/vbase/jobs/{said.header('Operation-Id')}"


def test_pinning_is_done_at_once(api: Api, one: str) -> None:
    said = api.post(f"{one}/pin")
    assert said["backup"]["pinned"]
    assert (said.header("Location"), said.header("Operation-Id")) == (f"/v1/vbase{one}", None)
    assert not api.post(f"{one}/unpin")["backup"]["pinned"]


@pytest.mark.parametrize("verb", ["verify", "pin", "unpin"])
def test_only_an_available_backup_is_verified_or_pinned(api: Api, one: str, verb: str) -> None:
    Backup.objects.update(status=BackupStatus.DELETING)
    assert api.post(f"{one}/{verb}").code == "FAILED_PRECONDITION"


# -- delete ----------------------------------------------------------------------------------------


def test_deleting_answers_a_message_and_names_the_job(api: Api, one: str) -> None:
    said = api.delete(one)
    job_id = said.header("Operation-Id")
    message = f"{job_id} (DELETE) was accepted."
    assert said.body == {"success": True, "code": "OK", "message": message}
    assert api.get(f"/jobs/{job_id}")["job"]["jobType"] == "DELETE"
    assert api.get(one)["backup"]["status"] == "DELETING"


def test_what_is_being_deleted_is_not_deleted_again(api: Api, one: str) -> None:
    api.delete(one)
    assert api.delete(one).code == "FAILED_PRECONDITION"


def test_a_pinned_backup_stays(api: Api, one: str) -> None:
    api.post(f"{one}/pin")
    said = api.delete(one)
    assert (said.code, "unpin" in said["response"]["message"]) == ("FAILED_PRECONDITION", True)


@pytest.mark.parametrize("kind", [JobKind.BACKUP, JobKind.RESTORE])
def test_what_is_written_or_restored_from_stays(
    api: Api, one: str, backup: Backup, kind: JobKind
) -> None:
    job = seed_job(backup, kind, TaskState.RUNNING)
    said = api.delete(one)
    assert (said.code, said.status, said.header("Retry-After")) == ("ABORTED", 409, "5")
    assert job.task.task_id in said["response"]["message"]


def test_a_body_may_repeat_what_the_address_says(api: Api, one: str, backup: Backup) -> None:
    said = api.send("DELETE", one, body={"backup_name": "another"})
    assert list(said.field_errors) == ["backupName"]
    service_id = backup.cluster.service_id
    same = {"backupName": backup.name, "serviceId": service_id}
    assert api.send("DELETE", one, body=same).status == 200


# -- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "verb", "scope"),
    [
        ("GET", "", LIST_BACKUPS),
        ("POST", "/verify", CREATE_BACKUP),
        ("POST", "/pin", CREATE_BACKUP),
        ("POST", "/unpin", CREATE_BACKUP),
        ("DELETE", "", DELETE_BACKUP),
    ],
)
def test_each_call_needs_its_scope(
    key_with: Callable[..., Api], one: str, method: str, verb: str, scope: str
) -> None:
    others = {LIST_BACKUPS, CREATE_BACKUP, DELETE_BACKUP} - {scope}
    assert key_with(*others).send(method, f"{one}{verb}").status == 403
    assert key_with(scope).send(method, f"{one}{verb}").status == 200


def test_a_stranger_finds_nothing(stranger: Api, one: str) -> None:
    calls = [("GET", ""), ("DELETE", ""), ("POST", "/verify"), ("POST", "/pin")]
    assert {stranger.send(method, f"{one}{verb}").status for method, verb in calls} == {404}


def test_changes_leave_history(api: Api, one: str, backup: Backup) -> None:
    api.post(f"{one}/pin")
    api.delete(one)
    rows = AuditEntry.objects.order_by("pk").values_list("action", "object_id", "outcome")
    assert list(rows) == [
        ("PinBackup", backup.name, "ACCEPTED"),
        ("DeleteBackup", backup.name, "REFUSED"),
    ]
