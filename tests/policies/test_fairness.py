"""Rows that cannot be fired, and organizations with many rows, delay no other policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

import pytest
import time_machine
from django.db import IntegrityError, connection
from django.db.models import Value
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from backups.policies import beat_mirror, cron, dispatch, services
from backups.policies.dispatch import overdue_since
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_policies
from clusters.models import Cluster
from clusters.services import delete_cluster
from tests.policies.conftest import MakePolicy
from vbase_console.core.errors import InvalidArgument
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Task

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Clock = time_machine.Traveller


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def forget_zone(policy: BackupPolicy) -> None:
    """As after an update of the zones that dropped one."""
    BackupPolicy.objects.filter(pk=policy.pk).update(timezone="Mars/Base")
    copied = CrontabSchedule.objects.filter(periodictask__name=beat_mirror.name_of(policy.pk))
    copied.update(timezone=Value("Mars/Base"))


def garble_schedule(policy: BackupPolicy) -> None:
    BackupPolicy.objects.filter(pk=policy.pk).update(schedule_cron="nonsense")


def schedule_no_day(policy: BackupPolicy) -> None:
    BackupPolicy.objects.filter(pk=policy.pk).update(schedule_cron="0 0 30 2 *")


BAD = [forget_zone, garble_schedule, schedule_no_day]


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_stops_no_other(
    spoil: Callable[[BackupPolicy], None], make_policy: MakePolicy, clock: Clock
) -> None:
    bad, good = make_policy(schedule_cron="* * * * *"), make_policy(schedule_cron="* * * * *")
    spoil(bad)
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 1
    assert PolicyRun.objects.get().policy == good


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_is_noticed_as_overdue_and_runs_when_it_is_mended(
    spoil: Callable[[BackupPolicy], None], make_policy: MakePolicy, clock: Clock
) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    spoil(policy)
    clock.move_to(NOON + 10 * MINUTE)
    assert (sweep_policies(), overdue_since()) == (0, NOON + MINUTE)
    BackupPolicy.objects.update(schedule_cron="* * * * *", timezone="UTC")
    assert (sweep_policies(), overdue_since()) == (1, None)


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_is_paused_and_mended_and_resumed(
    spoil: Callable[[BackupPolicy], None], policy: BackupPolicy
) -> None:
    spoil(policy)
    assert services.pause_policy(policy).next_run_at is None
    entry = PeriodicTask.objects.filter(name=beat_mirror.name_of(policy.pk))
    assert entry.values_list("enabled", flat=True).get() is False
    with pytest.raises(InvalidArgument):
        services.resume_policy(policy)
    mended = services.update_policy(
        policy, schedule_cron="@daily", timezone="Asia/Kolkata", is_active=True
    )
    assert mended.next_run_at is not None


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_keeps_no_cluster_from_being_deleted(
    spoil: Callable[[BackupPolicy], None],
    policy: BackupPolicy,
    make_policy: MakePolicy,
    cluster: Cluster,
) -> None:
    make_policy()
    spoil(policy)
    delete_cluster(cluster, by="alice")
    assert set(BackupPolicy.objects.values_list("is_active", "next_run_at")) == {(False, None)}
    assert not PeriodicTask.objects.filter(name__startswith="policy:", enabled=True).exists()


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_can_be_deleted(
    spoil: Callable[[BackupPolicy], None], policy: BackupPolicy
) -> None:
    spoil(policy)
    services.delete_policy(policy)
    assert not CrontabSchedule.objects.filter(periodictask=None).only("pk").exists()


def test_a_zone_that_vanishes_while_the_console_runs_stops_no_other(
    make_policy: MakePolicy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_policy(schedule_cron="* * * * *", timezone="Europe/Kyiv")
    good = make_policy(schedule_cron="* * * * *")
    known = cron.ZoneInfo
    cron.zone_of.cache_clear()
    monkeypatch.setattr(cron, "ZoneInfo", lambda name: known(name.replace("Kyiv", "Nowhere")))
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 1
    assert PolicyRun.objects.get().policy == good


def test_any_number_of_bad_rows_hides_no_good_one(
    make_policy: MakePolicy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BATCH_SIZE", 2)
    for _ in range(5):
        garble_schedule(make_policy(schedule_cron="* * * * *"))
    good = make_policy(schedule_cron="2 12 * * *")
    clock.move_to(NOON + 2 * MINUTE)
    assert sweep_policies() == 1
    assert PolicyRun.objects.get().policy == good


@pytest.mark.parametrize("status", ["DELETED", "DELETING"])
def test_a_cluster_that_is_no_more_is_skipped_and_stops_no_other(
    status: str, make_policy: MakePolicy, make_cluster: Callable[..., Cluster], clock: Clock
) -> None:
    other = make_cluster("other")
    gone = make_policy(schedule_cron="* * * * *", cluster=other)
    good = make_policy(schedule_cron="* * * * *")
    Cluster.objects.filter(pk=other.pk).update(status=status, wanted_running=False)
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 2
    assert (gone.runs.get().status, good.runs.get().status) == ("SKIPPED", "PENDING")
    assert f"is {status}" in gone.runs.get().skip_reason


@pytest.mark.sqlite
def test_a_cluster_that_vanished_stops_no_other(make_policy: MakePolicy, clock: Clock) -> None:
    orphan, good = make_policy(schedule_cron="* * * * *"), make_policy(schedule_cron="* * * * *")
    with connection.constraint_checks_disabled():
        BackupPolicy.objects.filter(pk=orphan.pk).update(cluster_id="nowhere")
        clock.move_to(NOON + MINUTE)
        assert sweep_policies() == 1
        assert PolicyRun.objects.get().policy == good
        BackupPolicy.objects.filter(pk=orphan.pk).update(cluster=good.cluster)


def test_one_with_nine_hundred_starves_nobody_with_one(
    make_policy: MakePolicy, clock: Clock, time_for_three: None
) -> None:
    many, lonely = make_policy(), make_policy()
    BackupPolicy.objects.bulk_create([copied(many, number) for number in range(899)])
    other = Organization.objects.create(name="small")
    BackupPolicy.objects.update(next_run_at=NOON - MINUTE)
    BackupPolicy.objects.filter(pk=lonely.pk).update(organization=other, next_run_at=NOON)
    assert sweep_policies() == 3
    assert lonely.runs.count() == 1


@pytest.fixture
def time_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dispatcher's own clock: each look at it takes a second, and it has three; in each it
    fires one.
    """
    monkeypatch.setattr(dispatch, "RUNS_PER_TRANSACTION", 1)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(dispatch, "SWEEP_TIMEOUT_SECONDS", 3)


def copied(policy: BackupPolicy, number: int) -> BackupPolicy:
    return BackupPolicy(
        policy_id=f"pol-{number}",
        name=f"copy {number}",
        organization_id=policy.organization_id,
        cluster_id=policy.cluster_id,
        schedule_cron="@daily",
        retention_count=1,
        next_run_at=NOON,
    )


def test_what_fails_takes_none_of_its_neighbours_along(
    make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one transaction: its own writes are undone, and no others."""
    bad, *good = (make_policy() for _ in range(3))
    BackupPolicy.objects.update(next_run_at=NOON)
    monkeypatch.setattr(beat_mirror, "copy_last_run", fails_for(bad))
    assert sweep_policies() == 2
    assert {run.policy for run in PolicyRun.objects.all()} == set(good)
    assert Task.objects.filter(kind="BACKUP").count() == 2
    bad.refresh_from_db()
    assert bad.next_run_at == NOON


def fails_for(policy: BackupPolicy) -> Callable[[str, datetime], None]:
    def copy_last_run(policy_id: str, at: datetime) -> None:
        if policy_id == policy.policy_id:
            raise IntegrityError("There is no room.")

    return copy_last_run


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_row_is_one_line_in_the_log_and_not_one_for_each_tick(
    spoil: Callable[[BackupPolicy], None],
    make_policy: MakePolicy,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    spoil(policy)
    clock.move_to(NOON + MINUTE)
    for _ in range(3):
        sweep_policies()
    (record,) = (each for each in caplog.records if each.name == dispatch.__name__)
    assert policy.policy_id in record.getMessage()
    assert not record.exc_info


def test_what_nobody_foresaw_is_logged_with_its_trace(
    make_policy: MakePolicy, clock: Clock, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    make_policy(schedule_cron="* * * * *")
    monkeypatch.setattr(dispatch, "start_run", None)
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    assert "Traceback" in caplog.text
    assert "TypeError" in caplog.text


def test_what_fails_is_said_again_after_an_hour_for_another_reason_or_after_it_went_well() -> None:
    instants = iter([0, 10, 3599, 3600, 3601, 3602])
    seldom = LogThrottle(minutes=60, clock=lambda: next(instants))
    told = [seldom.should_log("pol-1", ValueError("x")) for _ in range(4)]
    told.append(seldom.should_log("pol-1", ValueError("y")))
    seldom.reset("pol-1")
    told.append(seldom.should_log("pol-1", ValueError("y")))
    assert told == [True, False, False, True, True, True]
