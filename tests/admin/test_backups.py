"""Support staff find a backup, see why a job failed, and may have a backup verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, BackupJob
from backups.states import JobKind
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

LIST = "/admin/backups/backup/"


@pytest.fixture
def backup(make_cluster: Callable[..., Cluster]) -> Backup:
    return seed_backup(make_cluster(), "nightly")


def verify(client: Client, backup: Backup) -> Any:
    form = {"action": "verify", "_selected_action": [backup.pk]}
    return client.post(LIST, form, follow=True)


def test_it_verifies_as_support_and_leaves_an_audit_row(support: Client, backup: Backup) -> None:
    verify(support, backup)
    job = BackupJob.objects.get()
    entry = AuditEntry.objects.get()
    assert job.task.requested_by == "support:sam@example.com"
    assert (entry.action, entry.interface, entry.outcome) == ("VerifyBackup", "ADMIN", "ACCEPTED")
    assert (entry.object_id, entry.detail) == ("nightly", job.task.task_id)


def test_it_says_and_audits_why_it_was_refused(support: Client, backup: Backup) -> None:
    Backup.objects.update(status="DELETING")
    assert b"is being deleted" in verify(support, backup).content
    assert AuditEntry.objects.get().outcome == "REFUSED"


def test_whoever_may_only_look_is_offered_nothing(onlooker: Client, backup: Backup) -> None:
    assert b'value="verify"' not in verify(onlooker, backup).content
    assert not BackupJob.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_failed_job_says_why_and_leads_to_its_task(support: Client, backup: Backup) -> None:
    job = seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    Task.objects.filter(pk=job.pk).update(message="parts/1.parquet: it is missing")
    jobs = support.get("/admin/backups/backupjob/", {"q": "nightly"}).content.decode()
    page = support.get(f"/admin/backups/backupjob/{job.pk}/change/").content.decode()
    assert "it is missing" in jobs
    assert f"/admin/tasks/task/{job.pk}/change/" in jobs
    assert f"/admin/tasks/task/{job.pk}/change/" in page


def test_a_backup_leads_to_its_jobs(support: Client, backup: Backup) -> None:
    content = support.get(f"{LIST}{backup.pk}/change/").content.decode()
    assert f"/admin/backups/backupjob/?q={backup.pk}" in content


@pytest.mark.parametrize("page", ["backup", "backupjob"])
def test_many_rows_cost_as_many_queries_as_few(support: Client, backup: Backup, page: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert support.get(f"/admin/backups/{page}/").status_code == 200
        return len(captured)

    seed_job(backup)
    queries()
    few = queries()
    for _ in range(40):
        seed_job(seed_backup(backup.cluster))
    assert queries() == few
