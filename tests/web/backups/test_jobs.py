from __future__ import annotations

from typing import Any

import pytest

from backups.models import Backup, BackupJob
from backups.states import BackupStatus, JobKind
from tests.backups.seeds import seed_job
from tests.web.conftest import Browser
from tests.web.test_live import OpenPage
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.attempts import note
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

POLLS = b' data-busy=""'


def kinds(answer: Any) -> list[str]:
    """Jobs among the listed operations; the deployment of the cluster is one, too."""
    rows = answer.context["operations"]
    return [row.task.kind for row in rows if row.task.kind in JobKind.values]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["VERIFY", "BACKUP"]),
        ({"kind": "VERIFY"}, ["VERIFY"]),
        ({"state": "SUCCEEDED"}, ["BACKUP"]),
        ({"q": "night"}, ["VERIFY", "BACKUP"]),
        ({"cluster": "nowhere"}, []),
    ],
)
def test_the_list_narrows(
    backup: Backup, alices: Browser, asked: dict[str, str], found: list[str]
) -> None:
    seed_job(backup)
    seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    assert kinds(alices.open("operation-list", **asked)) == found
    assert kinds(alices.open("cluster-operation-list", backup.cluster.pk, **asked)) == (
        ["VERIFY", "BACKUP"] if "cluster" in asked else found
    )


def test_the_list_moves_while_a_job_does(backup: Backup, alices: Browser) -> None:
    seed_job(backup, state=TaskState.RUNNING)
    assert POLLS in alices.open("operation-list", htmx=True).content
    Task.objects.filter(kind="BACKUP").update(state=TaskState.FAILED)
    assert POLLS not in alices.open("operation-list", htmx=True).content


def test_an_empty_list_says_what_to_do_next(alices: Browser) -> None:
    assert b"No operations yet" in alices.open("operation-list").content
    assert b"Show all operations" in alices.open("operation-list", q="nothing").content


def test_one_job_shows_its_phases_warnings_and_events(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING)
    Task.objects.filter(pk=job.pk).update(phase="comparing", progress=70, warnings=["Odd."])
    content = alices.open("job-detail", job.task.task_id).content.decode()
    assert '<li aria-current="step">Comparing</li>' in content
    assert '<progress max="100" value="70"' in content
    assert "Odd." in content
    assert "Accepted." in content


def test_what_has_ended_says_its_phase_once(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.FAILED)
    Task.objects.filter(pk=job.pk).update(phase="pinning", message="While pinning: no.")
    content = alices.open("job-detail", job.task.task_id).content.decode()
    assert '<p class="doing">While pinning: no.</p>' in content


def test_a_job_polls_until_it_has_ended(backup: Backup, alices: Browser) -> None:
    task = seed_job(backup, JobKind.VERIFY, TaskState.RUNNING).task
    assert POLLS in alices.open("job-detail", task.task_id).content
    page = OpenPage(alices.client, alices.address("job-detail", task.task_id))
    Task.objects.filter(pk=task.pk).update(state=TaskState.SUCCEEDED, progress=100)
    note(task, "Verified.")
    parts = page.ask().json()["parts"]
    assert POLLS.decode() not in parts["job-progress"]
    assert "Verified." in parts["task-events"]


def test_a_backup_that_is_gone_has_no_page_to_lead_to(backup: Backup, alices: Browser) -> None:
    key = seed_job(backup, state=TaskState.FAILED).task.task_id
    Backup.objects.update(status=BackupStatus.GONE)
    content = alices.open("job-detail", key).content.decode()
    assert "(deleted)" in content
    assert alices.address("backup-detail", backup.name) not in content


def test_a_waiting_job_is_cancelled(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.VERIFY, TaskState.PENDING)
    assert b'id="cancel"' in alices.open("job-detail", job.task.task_id).content
    assert alices.open("job-cancel", job.task.task_id).status_code == 200
    alices.send("job-cancel", job.task.task_id)
    job.task.refresh_from_db()
    assert job.task.state == TaskState.CANCELLED
    assert AuditEntry.objects.get().action == "CancelJob"


def test_a_deletion_is_not_cancelled(backup: Backup, alices: Browser) -> None:
    key = seed_job(backup, JobKind.DELETE, TaskState.PENDING).task.task_id
    assert b'id="cancel"' not in alices.open("job-detail", key).content
    assert b"cannot be undone" in alices.send("job-cancel", key).content


def test_a_failed_job_is_tried_again(backup: Backup, alices: Browser) -> None:
    key = seed_job(backup, JobKind.VERIFY, TaskState.FAILED).task.task_id
    assert b'id="retry"' in alices.open("job-detail", key).content
    assert alices.open("job-retry", key).status_code == 200
    alices.send("job-retry", key)
    again = BackupJob.objects.get(task__retry_of=key)
    assert AuditEntry.objects.get().detail == again.task.task_id


@pytest.mark.parametrize("kind", [JobKind.RESTORE, JobKind.VERIFY, JobKind.DELETE])
def test_no_retry_is_offered_of_what_can_only_be_refused(
    backup: Backup, alices: Browser, kind: JobKind
) -> None:
    key = seed_job(backup, kind, TaskState.FAILED).task.task_id
    Backup.objects.update(status=BackupStatus.GONE)
    assert b'id="retry"' not in alices.open("job-detail", key).content


@pytest.mark.parametrize(
    ("kind", "status"), [(JobKind.VERIFY, 302), (JobKind.RESTORE, 302), (JobKind.DELETE, 403)]
)
def test_cancelling_needs_the_scope_of_what_is_cancelled(
    backup: Backup, olgas: Browser, bobs: Browser, kind: JobKind, status: int
) -> None:
    key = seed_job(backup, kind, TaskState.PENDING).task.task_id
    assert bobs.open("job-cancel", key).status_code == 403
    assert bobs.send("job-cancel", key).status_code == 403
    assert olgas.send("job-cancel", key).status_code == status


def test_nobody_sees_the_jobs_of_others(backup: Backup, charlies: Browser) -> None:
    key = seed_job(backup).task.task_id
    charlies.organization = "other"
    assert charlies.open("job-detail", key).status_code == 404
    assert charlies.send("job-retry", key).status_code == 404
    assert kinds(charlies.open("operation-list")) == []
