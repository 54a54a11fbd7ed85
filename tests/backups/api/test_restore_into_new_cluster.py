"""RestoreBackup with newCluster: a cluster and its restore exist together, or neither does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, BackupJob
from backups.services.new_clusters import NewCluster, RestoreIntoNewCluster
from backups.services.restores import restore_options
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.client import Api, Said
from tests.backups.seeds import seed_backup
from tests.web.backups.conftest import manifest_of, sealed, store
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import CREATE_CLUSTER, RESTORE_BACKUP
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for

__all__ = ["manifest_of", "sealed", "store"]
Work = Callable[[], int]


@pytest.fixture
def backup(sealed: Backup) -> Backup:
    return sealed


@pytest.fixture
def address(cluster: Cluster) -> str:
    return f"/{cluster.service_id}/backup/restore"


def restore(api: Api, address: str, name: str = "copy", **fields: Any) -> Said:
    new = {"name": name, **fields.pop("new", {})}
    return api.post(address, backupName="nightly", newCluster=new, **fields)


@pytest.fixture
def accepted(api: Api, address: str, backup: Backup) -> BackupJob:
    return job_of(restore(api, address))


def job_of(said: Said) -> BackupJob:
    jobs = BackupJob.objects.select_related("task", "cluster")
    return jobs.get(task__task_id=said["job"]["jobId"])


def again(job: BackupJob) -> BackupJob:
    return BackupJob.objects.select_related("task", "cluster").get(pk=job.pk)


def kinds_of(cluster: Cluster) -> list[tuple[str, str]]:
    rows = Task.objects.filter(lock=cluster.lock).order_by("pk")
    return list(rows.values_list("kind", "state"))


# -- the request ----------------------------------------------------------------------------------


def test_it_makes_a_cluster_and_a_restore_that_waits_for_it(
    api: Api, address: str, backup: Backup
) -> None:
    said = restore(api, address, new={"resourceConfig": {"computeUnits": 2}, "labels": {"a": "b"}})
    job = job_of(said)
    assert (said["job"]["jobType"], said["job"]["serviceId"]) == ("RESTORE", job.cluster.service_id)
    assert (job.cluster.name, job.cluster.status) == ("copy", "CREATING")
    assert (job.cluster.compute_units, job.cluster.labels) == (2, {"a": "b"})
    assert kinds_of(job.cluster) == [("DEPLOYMENT", "PENDING"), ("RESTORE", "PENDING")]
    assert said.header("Operation-Id") == job.task.task_id


def test_the_deployment_runs_first(accepted: BackupJob) -> None:
    (first,) = Task.objects.ready().filter(lock=accepted.cluster.lock)
    assert first.kind == "DEPLOYMENT"


WRONG = [
    ({"name": "no/name"}, "newCluster.name"),
    ({"name": ""}, "newCluster.name"),
    ({"resourceConfig": {"computeUnits": 0}}, "newCluster.resourceConfig.computeUnits"),
    ({"resourceConfig": {"version": "9"}}, "newCluster.resourceConfig.version"),
    ({"resourceConfig": {"replicas": 9}}, "newCluster.resourceConfig.replicas"),
    ({"labels": {"": "b"}}, "newCluster.labels"),
    ({"deletionProtection": True}, "newCluster.deletionProtection"),
]


@pytest.mark.parametrize(("new", "field"), WRONG)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    api: Api, address: str, backup: Backup, new: dict[str, object], field: str
) -> None:
    said = restore(api, address, new=new)
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", [field])
    assert (Cluster.objects.count(), BackupJob.objects.count()) == (1, 0)


def test_a_cluster_without_a_name_is_refused(api: Api, address: str, backup: Backup) -> None:
    said = api.post(address, backupName="nightly", newCluster={})
    assert list(said.field_errors) == ["newCluster.name"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_taken_name_is_refused(api: Api, address: str, backup: Backup, dry_run: bool) -> None:
    said = restore(api, address, name=backup.cluster.name, dryRun=dry_run)
    assert (said.code, BackupJob.objects.count()) == ("ALREADY_EXISTS", 0)


def test_the_name_of_a_deleted_cluster_is_free(
    api: Api, address: str, backup: Backup, work: Work
) -> None:
    api.delete(f"/clusters/{backup.cluster.cluster_id}")
    work()
    assert restore(api, address, name=backup.cluster.name).status == 200


def test_a_dry_run_stores_nothing(api: Api, address: str, backup: Backup) -> None:
    preflight = restore(api, address, dryRun=True)["preflight"]
    assert (preflight["isClear"], preflight["proves"], preflight["waitsFor"]) == (True, True, [])
    assert (Cluster.objects.count(), Task.objects.filter(kind="RESTORE").count()) == (1, 0)


def test_too_little_space_is_refused(
    api: Api, address: str, backup: Backup, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "free_bytes_for_new", lambda: 10 * 2**20)
    said = restore(api, address)
    assert (said.code, Cluster.objects.count()) == ("FAILED_PRECONDITION", 1)
    assert "10.0 MB" in said["response"]["message"]


@pytest.mark.parametrize("missing", [RESTORE_BACKUP, CREATE_CLUSTER])
def test_both_scopes_are_needed(
    key_with: Callable[..., Api], address: str, backup: Backup, missing: str
) -> None:
    (other,) = {RESTORE_BACKUP, CREATE_CLUSTER} - {missing}
    said = restore(key_with(other), address)
    assert (said.code, Cluster.objects.count()) == ("PERMISSION_DENIED", 1)


def test_the_address_names_the_service_of_the_backup(
    api: Api, backup: Backup, make_cluster: Callable[..., Cluster]
) -> None:
    other = make_cluster("other", running=False)
    assert restore(api, f"/{other.service_id}/backup/restore").code == "NOT_FOUND"


def test_a_repeated_request_makes_one_cluster(api: Api, address: str, backup: Backup) -> None:
    body = {"backupName": "nightly", "newCluster": {"name": "copy"}}
    said = [api.send("POST", address, body=body, idempotency_key="once") for _ in range(2)]
    assert said[0]["job"]["jobId"] == said[1]["job"]["jobId"]
    assert Cluster.objects.filter(name="copy").count() == 1


def test_the_activity_names_the_new_service(accepted: BackupJob) -> None:
    entry = AuditEntry.objects.get(action="RestoreBackup")
    assert (entry.object_id, entry.detail) == (accepted.cluster.service_id, accepted.task.task_id)


def test_the_activity_names_the_creation_and_the_removal(
    api: Api, accepted: BackupJob, work: Work
) -> None:
    api.post(f"/jobs/{accepted.task.task_id}/cancel")
    rows = AuditEntry.objects.filter(object_id=accepted.cluster_id).order_by("pk")
    assert list(rows.values_list("action", "principal", "interface")) == [
        ("CreateCluster", rows[0].principal, "API"),
        ("DeleteCluster", "console", "CONSOLE"),
    ]
    assert rows[1].detail == Task.objects.get(kind="DELETION").task_id


# -- failures -------------------------------------------------------------------------------------


def test_a_failed_deployment_fails_the_restore_at_once_and_removes_the_cluster(
    accepted: BackupJob, driver: MemoryDriver, work: Work
) -> None:
    driver.fail_next("create", DriverError("No room on the host.", permanent=True))
    work()
    job = again(accepted)
    assert (job.task.state, job.task.epoch, job.cluster.status) == ("FAILED", 1, "DELETED")
    assert kinds_of(job.cluster) == [
        ("DEPLOYMENT", "FAILED"),
        ("RESTORE", "FAILED"),
        ("DELETION", "SUCCEEDED"),
    ]
    deletion = Task.objects.get(kind="DELETION")
    assert "No room on the host." in job.task.message
    assert f"removed by {deletion.task_id}" in job.task.message


def test_a_cancelled_deployment_removes_the_cluster(
    api: Api, accepted: BackupJob, work: Work
) -> None:
    deployment = Task.objects.get(kind="DEPLOYMENT", lock=accepted.cluster.lock)
    api.post(f"/clusters/{accepted.cluster_id}/task/{deployment.task_id}/cancel")
    work()
    job = again(accepted)
    assert (job.task.state, job.cluster.status) == ("FAILED", "DELETED")


def test_a_retry_of_a_deployment_waits_for_the_restore_that_removes_the_cluster(
    api: Api, accepted: BackupJob
) -> None:
    task = cancel_deployment(api, accepted)
    said = api.post(f"{task}/retry")
    assert said.code == "ABORTED"
    assert f"{accepted.task.task_id} (RESTORE) should fill" in said["response"]["message"]
    assert "Restore the backup again." in said["response"]["message"]
    status = again(accepted).cluster.status_message
    assert status.endswith(f"{accepted.task.task_id} (RESTORE) ends next.")


def cancel_deployment(api: Api, job: BackupJob) -> str:
    deployment = Task.objects.get(kind="DEPLOYMENT", lock=job.cluster.lock)
    address = f"/clusters/{job.cluster_id}/task/{deployment.task_id}"
    api.post(f"{address}/cancel")
    return address


def test_a_protected_cluster_is_deployed_and_filled_by_retries(
    api: Api, accepted: BackupJob, work: Work
) -> None:
    api.patch(f"/clusters/{accepted.cluster_id}", deletionProtection=True)
    task = cancel_deployment(api, accepted)
    assert "Retry the deployment after that." in api.post(f"{task}/retry")["response"]["message"]
    work()
    job = again(accepted)
    assert "was not deployed. Retry its deployment, then this job" in job.task.message
    assert api.post(f"{task}/retry").status == 200
    said = api.post(f"/jobs/{job.task.task_id}/retry")
    assert said["job"]["serviceId"] == job.cluster.service_id
    assert kinds_of(job.cluster)[2:] == [("DEPLOYMENT", "PENDING"), ("RESTORE", "PENDING")]
    assert not job_of(said).fills_new_cluster


def test_a_cancelled_restore_removes_the_cluster(api: Api, accepted: BackupJob, work: Work) -> None:
    api.post(f"/jobs/{accepted.task.task_id}/cancel")
    work()
    job = again(accepted)
    assert (job.task.state, job.cluster.status) == ("CANCELLED", "DELETED")
    assert job.task.message.endswith("The backup is unchanged.")
    assert kinds_of(job.cluster)[0] == ("DEPLOYMENT", "CANCELLED")


def test_a_failed_restore_removes_the_cluster(
    accepted: BackupJob, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.restore.job.restore", lambda attempt, job: fail("Row 7 differs."))
    monkeypatch.setattr("backups.restore.job.undo", lambda attempt, job: None)
    work()
    job = again(accepted)
    assert (job.task.state, job.cluster.status) == ("FAILED", "DELETED")
    assert job.task.message.startswith("Row 7 differs. The new cluster copy is removed by task-")
    assert job.task.message.endswith("Remove the cause, then restore the backup again.")


def fail(message: str) -> None:
    from vbase_console.tasks.errors import JobFailed

    raise JobFailed(message, permanent=True)


def test_a_deletion_on_request_is_the_only_one(api: Api, accepted: BackupJob, work: Work) -> None:
    api.delete(f"/clusters/{accepted.cluster_id}")
    deletion = Task.objects.get(kind="DELETION")
    assert again(accepted).cluster.status == "DELETING"
    work()
    job = again(accepted)
    assert (job.task.state, job.cluster.status) == ("CANCELLED", "DELETED")
    assert f"removed by {deletion.task_id}" in job.task.message


def test_a_cluster_that_was_protected_meanwhile_is_kept(
    api: Api, accepted: BackupJob, work: Work
) -> None:
    api.patch(f"/clusters/{accepted.cluster_id}", deletionProtection=True)
    api.post(f"/jobs/{accepted.task.task_id}/cancel")
    work()
    job = again(accepted)
    assert (job.task.state, job.cluster.status) == ("CANCELLED", "RUNNING")
    assert "is kept, because it is protected" in job.task.message
    assert "Retry this job; or switch deletion protection off" in job.task.message


def test_a_retry_is_refused_with_the_remedy(api: Api, accepted: BackupJob) -> None:
    api.post(f"/jobs/{accepted.task.task_id}/cancel")
    said = api.post(f"/jobs/{accepted.task.task_id}/retry")
    assert said.code == "FAILED_PRECONDITION"
    assert "Restore nightly again" in said["response"]["message"]


def test_the_backup_cannot_be_deleted_meanwhile(
    api: Api, accepted: BackupJob, cluster: Cluster
) -> None:
    assert api.delete(f"/{cluster.service_id}/backup/nightly").code == "ABORTED"


@pytest.fixture
def jobs(principal: Principal, backup: Backup) -> list[BackupJob]:
    """The jobs of a clone of two databases."""
    other = seed_backup(backup.cluster, "other", db_name="texts")
    restores = [(each, restore_options(each)) for each in (backup, other)]
    return RestoreIntoNewCluster(new=NewCluster(name="copy"), restores=restores).submit(principal)


def test_the_end_of_one_job_of_a_clone_locks_the_backups_of_all_in_order(
    jobs: list[BackupJob],
) -> None:
    """The request locks them in this order, and the other order would deadlock with it."""
    job = max(jobs, key=lambda job: job.backup_id)
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        job_for("RESTORE").hold(job.task)
    (locking,) = (q["sql"] for q in captured if 'FROM "backups_backup" ' in q["sql"])
    with connection.cursor() as cursor:
        cursor.execute(locking.split(" FOR UPDATE")[0])
        locked = [row[0] for row in cursor.fetchall()]
    assert locked == sorted(job.backup_id for job in jobs)


def test_one_failed_restore_of_several_cancels_the_others(
    jobs: list[BackupJob], api: Api, work: Work
) -> None:
    api.post(f"/jobs/{jobs[0].task.task_id}/cancel")
    work()
    assert {again(job).task.state for job in jobs} == {"CANCELLED"}
    assert Task.objects.filter(kind="DELETION").count() == 1
    assert again(jobs[0]).cluster.status == "DELETED"
