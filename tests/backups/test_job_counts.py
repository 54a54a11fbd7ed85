"""ListBackupByOrg counts all jobs exactly, and reads only those of the last day for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.figures import job_counts
from backups.models import Backup, BackupJob, JobCount
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.backups.without_milvus import driver as driver
from vbase_console.tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def backup(make_cluster: Callable[..., Cluster]) -> Backup:
    return seed_backup(make_cluster("vectors"))


def count(backup: Backup) -> int:
    return job_counts.count_jobs(backup.organization_id)


def age(*jobs: BackupJob) -> None:
    old = timezone.now() - timedelta(days=2)
    Task.objects.filter(backup_job__in=jobs).update(created_at=old)


def test_jobs_are_counted_before_the_first_sweep(backup: Backup) -> None:
    seed_job(backup)
    assert count(backup) == 1


def test_later_jobs_are_added_to_the_kept_count(backup: Backup) -> None:
    age(seed_job(backup), seed_job(backup))
    assert job_counts.keep_counts() == 1
    seed_job(backup)
    assert (JobCount.objects.get().count, count(backup)) == (2, 3)


def test_a_job_of_the_last_day_is_not_kept(backup: Backup) -> None:
    age(seed_job(backup))
    seed_job(backup)
    job_counts.keep_counts()
    assert JobCount.objects.get().count == 1


def test_newly_settled_jobs_are_counted_by_the_next_sweep(backup: Backup) -> None:
    age(seed_job(backup))
    job_counts.keep_counts()
    later = seed_job(backup)
    assert job_counts.keep_counts() == 0
    age(later)
    job_counts.keep_counts()
    assert (JobCount.objects.get().count, count(backup)) == (2, 2)


def test_settled_jobs_are_not_read_again(backup: Backup) -> None:
    age(*[seed_job(backup) for _ in range(3)])
    job_counts.keep_counts()
    newest = BackupJob.objects.latest("task_id")
    with CaptureQueriesContext(connection) as captured:
        count(backup)
    assert f'"task_id" > {newest.pk}' in captured.captured_queries[-1]["sql"]
