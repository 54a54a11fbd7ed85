"""Backups on the pages of clusters and on the overview."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.policies.pages import back_up
from tests.web.conftest import Browser
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

MakeCluster = Callable[..., Cluster]
POLLS = b' data-busy=""'
MOST = 18
OF_ALL = ("backup-list", "operation-list", "overview")


def test_a_cluster_shows_its_newest_backups(cluster: Cluster, alices: Browser) -> None:
    for number in range(5):
        seed_backup(cluster, f"b{number}")
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert all(f">b{number}<" in content for number in (4, 3, 2))
    assert ">b1<" not in content
    assert 'id="take-backup"' in content


def test_a_cluster_without_backups_says_what_that_means(cluster: Cluster, alices: Browser) -> None:
    content = alices.open("cluster-detail", cluster.pk).content
    assert b"Lost data cannot be recovered" in content


def test_the_backups_of_a_cluster_move_by_themselves(backup: Backup, alices: Browser) -> None:
    seed_job(backup, JobKind.RESTORE, TaskState.RUNNING)
    answer = alices.open("cluster-backups", backup.cluster.pk, htmx=True).content
    assert POLLS in answer
    assert b"Restore" in answer
    Task.objects.filter(kind="RESTORE").update(state=TaskState.FAILED)
    assert POLLS not in alices.open("cluster-backups", backup.cluster.pk, htmx=True).content
    assert alices.open("cluster-backups", backup.cluster.pk).status_code == 302


def test_the_way_to_a_backup_appears_when_the_cluster_runs(
    make_cluster: MakeCluster, alices: Browser, work: Callable[[], int]
) -> None:
    cluster = make_cluster(running=False)
    assert b'id="take-backup"' not in alices.open("cluster-detail", cluster.pk).content
    work()
    answer = alices.open("cluster-detail", cluster.pk).content
    assert b'id="take-backup"' in answer


def test_deleting_a_cluster_says_which_backups_stay(backup: Backup, alices: Browser) -> None:
    Backup.objects.update(pinned=True)
    content = alices.open("cluster-delete", backup.cluster.pk).content
    assert b"nightly" in content
    assert b"pinned" in content
    assert b"Also delete its backups" in content


def test_deleting_a_cluster_says_which_jobs_are_stopped_and_that_policies_are_paused(
    backup: Backup, alices: Browser
) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.PENDING)
    Task.objects.filter(pk=job.task_id).update(lock=backup.cluster.lock)
    for is_active in (True, False):
        create_policy(
            backup.cluster,
            PolicySpec(schedule_cron="@daily", retention_count=2, is_active=is_active),
        )
    content = alices.open("cluster-delete", backup.cluster.pk).content.decode()
    assert f"{job.task.task_id}</code>, which will be cancelled" in content
    assert "1 active backup policy</a>, which will be paused" in content


def test_the_overview_leads_to_the_lists_that_hold_its_failures(
    backup: Backup, alices: Browser
) -> None:
    seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    content = alices.open("overview").content.decode()
    assert "/operations?state=FAILED" in content
    assert "/tasks?state=FAILED" not in content


def test_a_cluster_without_backups_offers_to_delete_none(cluster: Cluster, alices: Browser) -> None:
    assert b"Also delete its backups" not in alices.open("cluster-delete", cluster.pk).content


def test_a_deletion_begins_with_what_was_accepted(backup: Backup, alices: Browser) -> None:
    answer = alices.send("cluster-delete", backup.cluster.pk, typed_name="vectors")
    content = alices.client.get(answer.url).content
    assert b"vectors is being deleted. Backups kept: 1 (nightly)." in content


def test_a_deleted_cluster_without_backups_promises_none(
    cluster: Cluster, alices: Browser, work: Callable[[], int]
) -> None:
    alices.send("cluster-delete", cluster.pk, typed_name="vectors")
    work()
    content = alices.open("cluster-detail", cluster.pk).content
    assert b"The data of this cluster cannot be recovered" in content
    assert b"Lost data cannot be recovered" not in content


def test_backups_stay_unless_somebody_ticks(backup: Backup, alices: Browser) -> None:
    alices.send("cluster-delete", backup.cluster.pk, typed_name="vectors")
    backup.refresh_from_db()
    assert backup.status == BackupStatus.AVAILABLE


def test_backups_go_where_somebody_ticks(backup: Backup, alices: Browser) -> None:
    form = {"typed_name": "vectors", "delete_backups": "on"}
    alices.send("cluster-delete", backup.cluster.pk, **form)
    backup.refresh_from_db()
    assert backup.status == BackupStatus.DELETING


def test_the_overview_begins_with_what_is_least_protected(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    old, bare, fresh = (make_cluster(name) for name in ("old", "bare", "fresh"))
    seed_backup(old, "of-old", proven_at=timezone.now())
    seed_backup(old, "coming", status=BackupStatus.CREATING)
    seed_backup(fresh, "of-fresh")
    covers = alices.open("overview").context["covers"]
    assert [cover.cluster.pk for cover in covers] == [bare.pk, old.pk, fresh.pk]
    assert [str(cover.newest) for cover in covers] == ["None", "of-old", "of-fresh"]
    assert [str(cover.proven) for cover in covers] == ["None", "of-old", "None"]


def test_running_and_failed_jobs_are_on_the_overview(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.VERIFY, TaskState.RUNNING)
    assert POLLS in alices.open("overview", htmx=True).content
    Task.objects.filter(pk=job.pk).update(
        state=TaskState.FAILED, message="parts/1.parquet: it is missing", finished_at=timezone.now()
    )
    content = alices.open("overview", htmx=True).content
    assert POLLS not in content
    assert b"it is missing" in content
    assert alices.address("job-detail", job.task.task_id).encode() in content


def test_a_run_that_was_skipped_is_no_failure_on_the_overview(
    backup: Backup, alices: Browser
) -> None:
    policy = create_policy(backup.cluster, PolicySpec(schedule_cron="@daily", retention_count=2))
    back_up(policy, state="FAILED")
    assert len(alices.open("overview").context["failed"]) == 1
    policy.runs.update(skip_reason="There is nothing to back up.")
    assert alices.open("overview").context["failed"] == []


@pytest.mark.parametrize(("days", "shown"), [(6, 1), (8, 0)])
def test_a_failure_leaves_the_overview_after_a_week(
    backup: Backup, alices: Browser, days: int, shown: int
) -> None:
    """Otherwise one that cannot be retried would stay for ever."""
    job = seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    Task.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(days=days))
    answer = alices.open("overview")
    assert len(answer.context["failed"]) == shown
    assert (b"No unresolved failures in the last 7 days." in answer.content) is (shown == 0)
    assert job.task.task_id.encode() in alices.open("operation-list").content


def test_the_covers_of_others_are_not_shown(backup: Backup, charlies: Browser) -> None:
    charlies.organization = "other"
    assert charlies.open("overview").context["covers"] == []


def queries(browser: Browser, name: str, *keys: str) -> int:
    browser.open(name, *keys)
    with CaptureQueriesContext(connection) as captured:
        assert browser.open(name, *keys).status_code == 200
    return len(captured)


def grow(backup: Backup, count: int) -> None:
    for _ in range(count):
        seed_job(seed_backup(backup.cluster), JobKind.VERIFY, TaskState.RUNNING)
        seed_job(backup, JobKind.VERIFY, TaskState.FAILED)


@pytest.mark.parametrize("name", [*OF_ALL, "backup-detail", "cluster-detail"])
def test_a_page_costs_the_same_at_two_and_at_sixty_backups(
    backup: Backup, alices: Browser, name: str
) -> None:
    own = {"backup-detail": backup.name, "cluster-detail": backup.cluster.pk}
    keys = () if name in OF_ALL else (own[name],)
    grow(backup, 2)
    few = queries(alices, name, *keys)
    grow(backup, 60)
    assert queries(alices, name, *keys) == few
    assert few <= MOST
