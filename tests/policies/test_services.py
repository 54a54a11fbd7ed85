from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from backups.models import Backup
from backups.policies import beat_mirror, services
from backups.policies.cron import parse
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.preview import preview
from backups.policies.validation import PolicySpec
from backups.services.jobs import retry_job
from backups.states import JobKind
from clusters.models import Cluster
from clusters.protection import protection_of
from clusters.services import delete_cluster
from tests.policies.conftest import MakePolicy, end
from vbase_console.core.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from vbase_console.tasks.models import Task

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@time_machine.travel(NOON, tick=False)
def test_it_plans_the_first_run(make_policy: MakePolicy) -> None:
    policy = make_policy(schedule_cron="0 3 * * *", timezone="Europe/Berlin")
    assert policy.policy_id.startswith("pol-")
    assert policy.next_run_at == datetime(2026, 6, 2, 1, tzinfo=UTC)


BAD = [
    ({"schedule_cron": "0 0 30 2 *"}, "schedule_cron"),
    ({"schedule_cron": "nonsense"}, "schedule_cron"),
    ({"timezone": "Mars/Base"}, "timezone"),
    ({"retention_count": 0}, "retention_count"),
    ({"retention_count": 1001}, "retention_count"),
    ({"db_name": "no/name"}, "db_name"),
    ({"collection_names": ["_vbase_x"]}, "collection_names"),
    ({"collection_names": ["../1st"]}, "collection_names"),
    ({"on_missing": "PANIC"}, "on_missing"),
]


@pytest.mark.parametrize(("wish", "field"), BAD)
def test_it_refuses_and_names_the_field(
    wish: dict[str, object], field: str, make_policy: MakePolicy
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make_policy(**wish)
    assert list(refused.value.field_errors) == [field]


def test_it_names_everything_that_is_wrong_at_once(make_policy: MakePolicy) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make_policy(schedule_cron="x", timezone="y", retention_count=0)
    assert set(refused.value.field_errors) == {"schedule_cron", "timezone", "retention_count"}


def test_a_service_may_have_several(make_policy: MakePolicy, cluster: Cluster) -> None:
    make_policy()
    make_policy()
    assert cluster.policies.count() == 2


@time_machine.travel(NOON, tick=False)
def test_an_update_leaves_what_is_not_given(make_policy: MakePolicy) -> None:
    policy = make_policy(collection_names=["images"])
    services.update_policy(policy, schedule_cron="30 13 * * *")
    policy.refresh_from_db()
    assert policy.collection_names == ["images"]
    assert policy.next_run_at == datetime(2026, 6, 1, 13, 30, tzinfo=UTC)


def test_an_update_that_is_refused_changes_nothing(policy: BackupPolicy) -> None:
    with pytest.raises(InvalidArgument):
        services.update_policy(policy, schedule_cron="@reboot", retention_count=9)
    policy.refresh_from_db()
    assert (policy.schedule_cron, policy.retention_count) == ("0 3 * * *", 2)


def test_empty_names_mean_every_collection_again(make_policy: MakePolicy) -> None:
    policy = services.update_policy(make_policy(collection_names=["images"]), collection_names=[])
    assert policy.collection_names == []


def test_a_paused_policy_plans_nothing(policy: BackupPolicy) -> None:
    assert services.pause_policy(policy).next_run_at is None
    assert services.resume_policy(policy).next_run_at is not None


def test_deleting_answers_it_as_it_was_and_keeps_its_backups(policy: BackupPolicy) -> None:
    services.run_now(policy, by="alice")
    backup = end(PolicyRun.objects.get())
    was = services.delete_policy(policy)
    assert (was.policy_id, was.schedule_cron) == (policy.policy_id, "0 3 * * *")
    assert Backup.objects.get(pk=backup.pk).status == "AVAILABLE"
    assert not PeriodicTask.objects.filter(name__startswith="policy:").exists()


def test_what_is_deleted_is_not_found(policy: BackupPolicy) -> None:
    services.delete_policy(policy)
    with pytest.raises(NotFound):
        services.pause_policy(policy)


def test_a_run_now_is_a_job_of_the_policy(policy: BackupPolicy) -> None:
    job = services.run_now(policy, by="alice")
    run = PolicyRun.objects.get()
    assert (job.policy_id, run.job, run.is_manual) == (policy.policy_id, job, True)
    assert BackupPolicy.objects.get().last_status == "PENDING"


def test_a_run_now_waits_for_nobody(policy: BackupPolicy) -> None:
    services.run_now(policy, by="alice")
    with pytest.raises(Aborted, match="job-"):
        services.run_now(policy, by="alice")


def test_a_run_now_of_a_stopped_cluster_is_refused_and_leaves_no_run(policy: BackupPolicy) -> None:
    Cluster.objects.update(status="STOPPED", wanted_running=False, condition="STOPPED")
    with pytest.raises(FailedPrecondition, match="STOPPED"):
        services.run_now(policy, by="alice")
    assert not PolicyRun.objects.exists()


def test_deleting_a_cluster_pauses_its_policies(policy: BackupPolicy, cluster: Cluster) -> None:
    delete_cluster(cluster, by="alice")
    policy.refresh_from_db()
    assert (policy.is_active, policy.next_run_at) == (False, None)
    assert not PeriodicTask.objects.get(name=f"policy:{policy.policy_id}").enabled
    for ask in (services.resume_policy, partial(services.run_now, by="alice")):
        with pytest.raises(Aborted, match="DELETION"):
            ask(policy)


def test_protection_tells_of_policies(make_policy: MakePolicy, cluster: Cluster) -> None:
    nearest = make_policy(schedule_cron="* * * * *")
    services.pause_policy(make_policy())
    protection = protection_of([cluster.cluster_id])[cluster.cluster_id]
    assert (protection.policy_count, protection.next_backup_at) == (2, nearest.next_run_at)


def test_the_schedule_is_copied_for_people_to_read(make_policy: MakePolicy) -> None:
    policy = make_policy(schedule_cron="*/20 1-3 * * 7", timezone="Europe/Berlin")
    entry = PeriodicTask.objects.get(name=f"policy:{policy.policy_id}")
    crontab = entry.crontab
    assert (crontab.minute, crontab.hour, crontab.day_of_week) == ("0,20,40", "1,2,3", "0")
    assert (str(crontab.timezone), entry.enabled) == ("Europe/Berlin", True)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 2 1,15 * MON", ("*", "*")),
        ("0 2 1-31 * MON", ("*", "*")),
        ("0 2 */10 * MON", ("1,11,21,31", "1")),
        ("0 2 1,15 * *", ("1,15", "*")),
        ("0 2 * * 5-7", ("*", "0,5,6")),
    ],
)
def test_where_either_day_is_enough_the_copy_wakes_every_day(
    text: str, days: tuple[str, str]
) -> None:
    copied = beat_mirror.crontab_of(parse(text))
    assert (copied["day_of_month"], copied["day_of_week"]) == days


def test_the_copy_follows_its_policy(policy: BackupPolicy) -> None:
    services.update_policy(policy, schedule_cron="@hourly", is_active=False)
    entry = PeriodicTask.objects.get(name=f"policy:{policy.policy_id}")
    assert (entry.crontab.hour, entry.enabled) == ("*", False)
    assert CrontabSchedule.objects.filter(periodictask=entry).count() == 1


def test_a_preview_says_what_a_lower_count_would_cost(policy: BackupPolicy) -> None:
    for _ in range(2):
        services.run_now(policy, by="alice")
        end(PolicyRun.objects.first())  # type: ignore[arg-type]
    seen = preview(PolicySpec(schedule_cron="0 3 * * *", retention_count=1), policy=policy)
    assert [judged.reason for judged in seen.would_expire] == ["expired: 2nd newest"]
    assert [judged.reason for judged in seen.would_keep] == ["kept: newest 1"]


def test_a_preview_shows_the_runs_in_both_zones() -> None:
    seen = preview(
        PolicySpec(schedule_cron="0 3 * * *", timezone="Asia/Kolkata", retention_count=1),
        start_at=NOON,
        count=1,
    )
    assert (seen.description, seen.runs) == (
        "At 03:00 every day",
        [datetime(2026, 6, 1, 21, 30, tzinfo=UTC)],
    )
    assert seen.local_runs[0].isoformat() == "2026-06-02T03:00:00+05:30"


def test_a_preview_shows_at_most_a_hundred_runs() -> None:
    assert (
        len(preview(PolicySpec(schedule_cron="@daily", retention_count=1), count=100).runs) == 100
    )
    with pytest.raises(InvalidArgument, match="100"):
        preview(PolicySpec(schedule_cron="@daily", retention_count=1), count=101)


def test_a_preview_begins_behind_its_start_even_where_that_is_an_instant_of_the_schedule() -> None:
    seen = preview(
        PolicySpec(schedule_cron="0 12 * * *", retention_count=1), start_at=NOON, count=1
    )
    assert seen.runs == [NOON + timedelta(days=1)]
    just_before = NOON - timedelta(microseconds=1)
    seen = preview(
        PolicySpec(schedule_cron="0 12 * * *", retention_count=1), start_at=just_before, count=1
    )
    assert seen.runs == [NOON]


def test_an_older_run_is_not_tried_again_beside_a_newer_one(policy: BackupPolicy) -> None:
    services.run_now(policy, by="alice")
    failed = PolicyRun.objects.get()
    end(failed, state="FAILED")
    going = services.run_now(policy, by="alice")
    with pytest.raises(Aborted, match=going.task.task_id):
        retry_job(failed.job, by="alice")  # type: ignore[arg-type]
    assert Task.objects.active().filter(kind=JobKind.BACKUP).count() == 1


def test_an_older_run_is_tried_again_once_the_newer_one_has_ended(policy: BackupPolicy) -> None:
    services.run_now(policy, by="alice")
    failed = PolicyRun.objects.get()
    end(failed, state="FAILED")
    services.run_now(policy, by="alice")
    end(PolicyRun.objects.exclude(pk=failed.pk).get())
    again = retry_job(failed.job, by="alice")  # type: ignore[arg-type]
    failed.refresh_from_db()
    assert failed.job == again
