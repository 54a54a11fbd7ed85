from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup, BackupJob
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_job
from vbase_console.organizations.scopes import (
    CREATE_BACKUP,
    DELETE_BACKUP,
    LIST_BACKUPS,
    RESTORE_BACKUP,
)
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

SCOPES = {
    JobKind.BACKUP: CREATE_BACKUP,
    JobKind.RESTORE: RESTORE_BACKUP,
    JobKind.VERIFY: CREATE_BACKUP,
    JobKind.DELETE: DELETE_BACKUP,
}
Make = Callable[..., str]


@pytest.fixture
def job(backup: Backup) -> Make:
    """The address of a job of this backup."""
    return lambda *state: f"/jobs/{seed_job(backup, *state).task.task_id}"


def test_a_job_tells_its_events(api: Api, job: Make) -> None:
    shown = api.get(job())["job"]
    assert (shown["status"], shown["progress"]) == ("SUCCEEDED", 100)
    (event,) = shown["events"]
    assert set(event) == {"at", "attempt", "status", "progress", "phase", "message"}


@pytest.mark.parametrize("path", ["/jobs/job-none", "/jobs/a%00b", "/jobs/task-1/cancel"])
def test_what_is_not_there_is_not_found(api: Api, job: Make, path: str) -> None:
    method = "POST" if path.endswith("cancel") else "GET"
    assert api.send(method, path).code == "NOT_FOUND"


def test_a_waiting_backup_is_cancelled_at_once_and_was_never_there(
    api: Api, make_cluster: Callable[..., Cluster]
) -> None:
    of = f"/{make_cluster('new', running=False).service_id}/backup"
    job_id = api.post(of, collectionNames=["images"], backupName="one")["job"]["jobId"]
    said = api.post(f"/jobs/{job_id}/cancel")
    assert (said["job"]["status"], said["job"]["backupDeletedAt"]) == ("CANCELLED", None)
    assert said.header("Operation-Id") == job_id
    assert api.get(f"{of}/one").status == 404


def test_a_running_one_is_asked_to_stop(api: Api, job: Make) -> None:
    said = api.post(f"{job(JobKind.VERIFY, TaskState.RUNNING)}/cancel")
    assert said["job"]["status"] == "CANCELLING"


def test_what_has_ended_is_not_cancelled(api: Api, job: Make) -> None:
    assert api.post(f"{job()}/cancel").code == "FAILED_PRECONDITION"


def test_a_deletion_only_goes_forward(api: Api, job: Make) -> None:
    said = api.post(f"{job(JobKind.DELETE, TaskState.RUNNING)}/cancel")
    assert said.code == "FAILED_PRECONDITION"


def test_what_succeeded_is_not_retried(api: Api, job: Make) -> None:
    assert api.post(f"{job()}/retry").code == "FAILED_PRECONDITION"


def test_a_failed_verification_is_retried_as_a_new_job(api: Api, job: Make) -> None:
    first = job(JobKind.VERIFY, TaskState.FAILED)
    said = api.post(f"{first}/retry")
    assert (said["job"]["jobType"], said["job"]["status"]) == ("VERIFY", "PENDING")
    assert said.header("Operation-Id") == said["job"]["jobId"]
    assert Task.objects.get(task_id=said["job"]["jobId"]).retry_of in first


def test_a_job_is_retried_once(api: Api, job: Make) -> None:
    first = job(JobKind.VERIFY, TaskState.FAILED)
    again = api.post(f"{first}/retry")["job"]["jobId"]
    said = api.post(f"{first}/retry")
    assert (said.code, again in said["response"]["message"]) == ("FAILED_PRECONDITION", True)


def test_a_failed_backup_is_retried_under_its_name(
    api: Api, job: Make, backup: Backup, cluster: Cluster
) -> None:
    failed = job(JobKind.BACKUP, TaskState.FAILED)
    Backup.objects.update(status=BackupStatus.GONE)
    said = api.post(f"{failed}/retry")
    assert (said["job"]["backupName"], said["job"]["collectionNames"]) == ("nightly", ["images"])
    assert Backup.objects.filter(name="nightly").count() == 2


def test_a_failed_restore_is_retried_as_it_was_asked_for(
    api: Api, backup: Backup, make_cluster: Callable[..., Cluster]
) -> None:
    target = make_cluster("target")
    options = {"on_conflict": "RENAME", "suffix": "_b", "restore_access_control": True}
    failed = seed_job(backup, JobKind.RESTORE, TaskState.FAILED, cluster=target, options=options)
    said = api.post(f"/jobs/{failed.task.task_id}/retry")
    assert said["job"]["serviceId"] == target.service_id
    assert BackupJob.objects.get(task__task_id=said["job"]["jobId"]).options == options


def test_a_restore_of_what_is_gone_is_not_retried(api: Api, job: Make) -> None:
    failed = job(JobKind.RESTORE, TaskState.FAILED)
    Backup.objects.update(status=BackupStatus.GONE)
    assert api.post(f"{failed}/retry").code == "FAILED_PRECONDITION"


@pytest.mark.parametrize(("status", "code"), [("DELETING", ""), ("GONE", "FAILED_PRECONDITION")])
def test_a_failed_deletion_is_retried_while_there_is_something_left(
    api: Api, job: Make, status: str, code: str
) -> None:
    failed = job(JobKind.DELETE, TaskState.FAILED)
    Backup.objects.update(status=status)
    assert api.post(f"{failed}/retry").code == code


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_the_scope_is_that_of_what_is_asked_for(
    key_with: Callable[..., Api], job: Make, kind: JobKind, verb: str
) -> None:
    path = f"{job(kind, TaskState.SUCCEEDED)}/{verb}"
    others = {LIST_BACKUPS, *SCOPES.values()} - {SCOPES[kind]}
    assert key_with(*others).post(path).status == 403
    assert key_with(SCOPES[kind]).post(path).code == "FAILED_PRECONDITION"


def test_a_stranger_finds_no_job(stranger: Api, job: Make) -> None:
    path = job(JobKind.VERIFY, TaskState.FAILED)
    said = [stranger.get(path), stranger.post(f"{path}/cancel"), stranger.post(f"{path}/retry")]
    assert [each.status for each in said] == [404, 404, 404]


def test_the_job_in_the_body_must_be_that_of_the_address(api: Api, job: Make) -> None:
    said = api.post(f"{job(JobKind.VERIFY, TaskState.PENDING)}/cancel", job_id="job-other")
    assert list(said.field_errors) == ["jobId"]
