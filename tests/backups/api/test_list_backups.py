from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.tasks.states import TaskState

FIELDS = {
    *("jobId", "jobType", "status", "progress", "phase", "message", "warnings", "serviceId"),
    *("organizationId", "backupName", "dbName", "collectionNames", "rowCount", "sizeBytes"),
    *("policyId", "createdAt", "startedAt", "finishedAt", "backupDeletedAt"),
    "backupDamaged",
}


@pytest.fixture
def four(backup: Backup, cluster: Cluster) -> dict[str, str]:
    """Difference of a job from the others → its id."""
    sales = seed_backup(cluster, "sales", db_name="sales", policy_id="pol-1")
    jobs = {
        "done": seed_job(backup),
        "failed": seed_job(sales, state=TaskState.FAILED, policy_id="pol-1"),
        "restore": seed_job(backup, JobKind.RESTORE, TaskState.RUNNING),
        "waits": seed_job(backup, JobKind.VERIFY, TaskState.PENDING),
    }
    return {name: job.task.task_id for name, job in jobs.items()}


@pytest.fixture
def org(cluster: Cluster) -> str:
    return f"/backup/org/{cluster.organization_id}"


def ids(said: object) -> list[str]:
    return [job["jobId"] for job in said["jobs"]]  # type: ignore[index]


FILTERS = [
    ({}, ["waits", "restore", "failed", "done"]),
    ({"jobType": "BACKUP"}, ["failed", "done"]),
    ({"status": "RUNNING"}, ["restore"]),
    ({"dbName": "sales"}, ["failed"]),
    ({"policyId": "pol-1"}, ["failed"]),
    ({"jobType": "BACKUP", "status": "SUCCEEDED", "dbName": "default"}, ["done"]),
    ({"status": "CANCELLED"}, []),
    ({"jobType": "", "status": "0", "dbName": "", "policyId": ""}, 4),
    ({"jobType": "BACKUP_JOB_TYPE_UNSPECIFIED", "status": "STATUS_UNSPECIFIED"}, 4),
]


@pytest.mark.parametrize(("asked", "expected"), FILTERS)
def test_a_services_jobs_are_filtered_newest_first(
    api: Api, of: str, four: dict[str, str], asked: dict[str, str], expected: list[str] | int
) -> None:
    said = api.get(of, **asked)
    wanted = list(four.values())[::-1] if expected == 4 else [four[name] for name in expected]  # type: ignore[union-attr]
    assert (ids(said), said["total"]) == (wanted, len(wanted))


@pytest.mark.parametrize(("asked", "expected"), FILTERS)
def test_an_organizations_jobs_are_filtered_by_the_body(
    api: Api, org: str, four: dict[str, str], asked: dict[str, str], expected: list[str] | int
) -> None:
    said = api.post(org, **asked)
    wanted = list(four.values())[::-1] if expected == 4 else [four[name] for name in expected]  # type: ignore[union-attr]
    assert (ids(said), said["total"]) == (wanted, len(wanted))


def test_an_organizations_jobs_are_those_of_all_its_services(
    api: Api, org: str, four: dict[str, str], make_cluster: Callable[..., Cluster]
) -> None:
    other = make_cluster("other")
    elsewhere = seed_job(seed_backup(other)).task.task_id
    assert ids(api.post(org))[0] == elsewhere
    assert ids(api.post(org, serviceId=other.service_id)) == [elsewhere]
    assert api.post(org, serviceId="")["total"] == 5


def test_a_restore_is_listed_at_its_target(
    api: Api, of: str, backup: Backup, make_cluster: Callable[..., Cluster]
) -> None:
    target = make_cluster("target")
    seed_job(backup, JobKind.RESTORE, cluster=target)
    assert api.get(of)["total"] == 0
    (job,) = api.get(f"/{target.service_id}/backup")["jobs"]
    assert (job["serviceId"], job["backupName"]) == (target.service_id, "nightly")


def test_a_job_shows_every_field(api: Api, of: str, four: dict[str, str]) -> None:
    first, *_ = api.get(of)["jobs"]
    assert set(first) == FIELDS
    assert (first["policyId"], first["phase"], first["warnings"]) == (None, None, [])
    assert (first["startedAt"], first["backupDeletedAt"]) == (None, None)


def test_both_lists_are_paged(api: Api, of: str, org: str, four: dict[str, str]) -> None:
    for said in (api.get(of, page=2, pageSize=3), api.post(org, page=2, page_size=3)):
        assert (ids(said), said["total"]) == ([four["done"]], 4)


def test_jobs_tell_when_their_backup_was_deleted(api: Api, of: str, backup: Backup) -> None:
    seed_job(backup)
    seed_job(backup, JobKind.DELETE)
    Backup.objects.update(status=BackupStatus.GONE, deleted_at="2026-11-22T10:00:00Z")
    gone = {job["jobType"]: job["backupDeletedAt"] for job in api.get(of)["jobs"]}
    assert gone == dict.fromkeys(["BACKUP", "DELETE"], "2026-11-22T10:00:00Z")


def test_what_was_never_finished_was_not_deleted(api: Api, of: str, backup: Backup) -> None:
    seed_job(backup, state=TaskState.FAILED)
    Backup.objects.update(status=BackupStatus.GONE, deleted_at="2026-11-22T10:00:00Z")
    assert api.get(of)["jobs"][0]["backupDeletedAt"] is None


def test_jobs_of_a_deleted_service_are_listed(
    api: Api, of: str, four: dict[str, str], cluster: Cluster
) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(status="DELETED")
    assert api.get(of)["total"] == 4


def test_jobs_are_no_tasks_of_the_cluster(api: Api, cluster: Cluster, four: dict[str, str]) -> None:
    said = api.get(f"/clusters/{cluster.cluster_id}/task")
    assert [task["taskType"] for task in said["tasks"]] == ["DEPLOYMENT"]
    assert api.get(f"/clusters/{cluster.cluster_id}/task/{four['done']}").status == 404


def test_tasks_of_the_cluster_are_no_jobs(api: Api, of: str, cluster: Cluster) -> None:
    api.post(f"/clusters/{cluster.cluster_id}/restart")
    task = api.get(f"/clusters/{cluster.cluster_id}/task")["tasks"][0]["taskId"]
    assert api.get(of)["total"] == 0
    assert api.get(f"/jobs/{task}").status == 404


@pytest.mark.parametrize(
    "asked", [{"jobType": "SCALING"}, {"status": "BUSY"}, {"page": -1}, {"colour": "red"}]
)
def test_what_it_does_not_know_is_named(
    api: Api, of: str, org: str, asked: dict[str, object]
) -> None:
    assert list(api.get(of, **asked).field_errors) == list(asked)
    assert list(api.post(org, **asked).field_errors) == list(asked)


def test_a_wrong_choice_is_told_the_right_ones(api: Api, of: str) -> None:
    said = api.get(of, jobType="FOO").field_errors["jobType"]
    assert said == ["Give one of BACKUP, RESTORE, VERIFY, DELETE."]


def test_a_body_takes_no_number_in_a_text(api: Api, org: str) -> None:
    assert list(api.post(org, pageSize="5").field_errors) == ["pageSize"]


def test_nothing_is_found_by_what_no_text_can_hold(api: Api, org: str) -> None:
    assert api.post(org, dbName="a\x00b").status in (200, 400)


def test_reading_leaves_no_history(api: Api, org: str) -> None:
    from vbase_console.organizations.models import AuditEntry

    api.post(org)
    api.post(org, colour="red")
    assert not AuditEntry.objects.filter(action="ListBackupByOrg").exists()


def test_a_list_too_is_answered_once_per_key(api: Api, org: str, backup: Backup) -> None:
    first = api.send("POST", org, body={}, Idempotency_Key="list-1")
    seed_job(backup)
    again = api.send("POST", org, body={}, Idempotency_Key="list-1")
    assert (first["total"], again["total"]) == (0, 0)
    assert again.header("Idempotency-Replayed") == "true"


def test_a_stranger_finds_neither(stranger: Api, of: str, org: str) -> None:
    assert (stranger.get(of).status, stranger.post(org).status) == (404, 404)


def test_the_organization_in_the_body_must_be_that_of_the_address(api: Api, org: str) -> None:
    assert list(api.post(org, organizationId="another").field_errors) == ["organizationId"]
