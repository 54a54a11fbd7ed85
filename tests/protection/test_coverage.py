"""Covered, stale, uncovered: what policies and backups make of each known collection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup
from backups.policies import services
from backups.policies.models import BackupPolicy
from backups.protection.coverage import update_coverage, update_coverage_without
from backups.protection.models import InventoryScan, KnownCollection
from backups.services.backups import delete_backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from tests.backups.seeds import seed_job
from tests.protection.conftest import Cover, figures, know, known, taken
from tests.tasks.together import together
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

DAY = timedelta(days=1)
LONG = timedelta(days=3)


def test_a_collection_that_no_policy_takes_is_uncovered(cluster: Cluster) -> None:
    know(cluster, "images")
    assert figures() == {"covered": 0, "stale": 0, "uncovered": 1}


def test_a_policy_covers_all_of_its_database_and_nothing_else(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images", "texts")
    cover()
    assert figures() == {"covered": 2, "stale": 0, "uncovered": 0}
    cover(db_name="other")
    know(cluster, "elsewhere", db_name="third")
    assert figures() == {"covered": 0, "stale": 0, "uncovered": 1}


def test_a_policy_for_chosen_collections_covers_only_those(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images", "texts")
    policy = cover("images")
    assert known("images").policy == policy
    assert known("texts").policy is None


def test_a_policy_that_chose_an_alias_covers_what_stands_behind_it(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images", "texts")
    policy = cover("pictures")
    assert figures()["covered"] == 0
    taken(cluster, policy_id=policy.pk, requested_collections=["pictures"])
    assert known("images").policy == policy
    assert known("texts").policy is None


def test_what_a_policy_took_before_its_choice_was_changed_is_not_covered(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images")
    policy = cover("pictures")
    taken(cluster, policy_id=policy.pk, requested_collections=["images"])
    assert known().policy is None


def test_a_paused_policy_covers_nothing_until_it_goes_on(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    policy = services.pause_policy(cover())
    assert figures()["uncovered"] == 1
    services.resume_policy(policy)
    assert figures()["covered"] == 1


def test_a_deleted_policy_covers_nothing(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    services.delete_policy(cover())
    assert (known().policy, known().rpo_deadline) == (None, None)


def test_a_schedule_that_cannot_be_understood_stops_no_other(
    cluster: Cluster, cover: Cover
) -> None:
    BackupPolicy.objects.filter(pk=cover().pk).update(schedule_cron="whenever")
    policy = cover()
    know(cluster, "images")
    assert known().policy == policy


def test_a_policy_of_a_stopped_cluster_still_covers_and_what_it_misses_shows(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images")
    cover()
    taken(cluster, LONG)
    Cluster.objects.update(condition=Condition.STOPPED, status=ServiceStatus.STOPPED)
    assert figures() == {"covered": 1, "stale": 1, "uncovered": 0}


def test_what_is_deleted_with_its_cluster_counts_nowhere(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    Cluster.objects.update(status=ServiceStatus.DELETING)
    assert figures() == {"covered": 0, "stale": 0, "uncovered": 0}


def test_a_backup_that_is_older_than_promised_is_stale(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    cover()
    backup = taken(cluster, LONG)
    assert figures() == {"covered": 1, "stale": 1, "uncovered": 0}
    assert known().newest_backup == backup


def test_a_backup_that_is_as_new_as_promised_is_not(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    cover()
    taken(cluster, LONG)
    taken(cluster)
    assert figures()["stale"] == 0


def test_a_backup_counts_whoever_took_it(cluster: Cluster, cover: Cover) -> None:
    know(cluster, "images")
    cover()
    backup = taken(cluster, policy_id="")
    assert known().newest_backup == backup


@pytest.mark.parametrize(
    "fault",
    [
        {"status": BackupStatus.CREATING},
        {"status": BackupStatus.DELETING},
        {"status": BackupStatus.GONE},
        {"damage_found_by": "job-1"},
        {"db_name": "other"},
        {"collections": []},
    ],
)
def test_what_cannot_be_counted_on_is_no_good_backup(
    cluster: Cluster, cover: Cover, fault: dict[str, object]
) -> None:
    know(cluster, "images")
    backup = taken(cluster)
    Backup.objects.filter(pk=backup.pk).update(**fault)
    update_coverage(cluster.pk)
    assert known().newest_backup is None


def test_a_backup_that_misses_another_collection_is_good_for_this_one(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images", "texts")
    backup = taken(cluster, omissions=["Collection texts was not there."])
    assert known("images").newest_backup == backup
    assert known("texts").newest_backup is None


def test_the_newest_that_is_proven_is_known_beside_the_newest(cluster: Cluster) -> None:
    know(cluster, "images")
    proven = taken(cluster, LONG, proven_at=timezone.now())
    newest = taken(cluster)
    assert (known().newest_backup, known().proven_backup) == (newest, proven)


def test_of_several_policies_the_promise_counts_that_ends_first(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images")
    cover()
    often = cover("images", schedule_cron="*/5 * * * *")
    taken(cluster, DAY)
    assert known().policy == often
    assert figures()["stale"] == 1


def test_a_collection_without_a_backup_waits_for_its_first_run_and_no_longer(
    cluster: Cluster, cover: Cover
) -> None:
    know(cluster, "images")
    policy = cover()
    assert figures()["stale"] == 0
    KnownCollection.objects.update(first_seen_at=timezone.now() - LONG)
    BackupPolicy.objects.filter(pk=policy.pk).update(created_at=timezone.now() - LONG)
    update_coverage(cluster.pk)
    assert figures()["stale"] == 1


def test_deleting_the_newest_backup_leaves_the_one_before(cluster: Cluster) -> None:
    know(cluster, "images")
    before, newest = taken(cluster, DAY), taken(cluster)
    delete_backup(newest, by="alice")
    assert known().newest_backup == before


def test_deleting_what_nothing_counts_on_judges_nothing(cluster: Cluster) -> None:
    know(cluster, "images")
    old, _ = taken(cluster, DAY), taken(cluster)
    assert update_coverage_without(old) == 0
    KnownCollection.objects.update(proven_backup=old)
    assert update_coverage_without(old) == 1


def test_the_end_of_a_backup_makes_its_collections_known_and_covered(
    cluster: Cluster, cover: Cover, end: Callable[..., None]
) -> None:
    cover()
    backup = taken(cluster, timedelta(), "images", "texts", status=BackupStatus.CREATING)
    end(seed_job(backup, state=TaskState.PENDING))
    assert figures()["covered"] == 2
    assert known("texts").newest_backup == backup


def test_a_backup_found_damaged_protects_nothing(
    cluster: Cluster, end: Callable[..., None]
) -> None:
    know(cluster, "images")
    backup = taken(cluster)
    job = seed_job(backup, JobKind.VERIFY, TaskState.PENDING)
    end(job, state=TaskState.FAILED, checkpoint={"damaged": True})
    backup.refresh_from_db()
    assert (backup.damage_found_by, known().newest_backup) == (job.task.task_id, None)


def test_a_restore_that_proves_a_backup_shows_and_its_target_is_looked_at_soon(
    cluster: Cluster, end: Callable[..., None], make_cluster: Callable[..., Cluster]
) -> None:
    know(cluster, "images")
    target = make_cluster("target")
    know(target, "texts")
    backup = taken(cluster)
    job = seed_job(backup, JobKind.RESTORE, TaskState.PENDING, cluster=target)
    end(job, checkpoint={"proves": True})
    assert known("images").proven_backup == backup
    assert InventoryScan.objects.get(cluster=target).next_scan_at <= timezone.now()


def test_whatever_changes_at_once_nothing_is_judged_by_what_was_before(
    cluster: Cluster, cover: Cover, end: Callable[..., None]
) -> None:
    know(cluster, "images", "texts")
    jobs = [
        seed_job(taken(cluster, DAY, status=BackupStatus.CREATING), state=TaskState.PENDING)
        for _ in range(4)
    ]

    def change(number: int) -> None:
        if number % 2:
            cover("images" if number % 4 == 1 else "texts")
            return
        with transaction.atomic():
            Cluster.objects.locked(cluster.pk)
            end(jobs[number // 2])

    together(8, change)
    assert update_coverage(cluster.pk) == 0
    assert known("images").newest_backup is not None


def test_judging_writes_only_what_changed_and_reads_the_same_for_many(cluster: Cluster) -> None:
    def queries() -> int:
        update_coverage(cluster.pk)
        with CaptureQueriesContext(connection) as captured:
            assert update_coverage(cluster.pk) == 0
        return len(captured)

    know(cluster, "images")
    few = queries()
    know(cluster, *(f"c{number}" for number in range(600)))
    assert queries() == few


def test_thousands_of_collections_of_one_backup_are_written_by_a_few_statements(
    cluster: Cluster,
) -> None:
    names = [f"c{number}" for number in range(2_000)]
    know(cluster, *names)
    with CaptureQueriesContext(connection) as captured:
        taken(cluster, timedelta(), *names)
    assert len(captured) < 15


def test_nobody_judges_a_task(cluster: Cluster) -> None:
    assert update_coverage(cluster.pk) == 0
    assert not Task.objects.filter(kind="BACKUP").exists()
