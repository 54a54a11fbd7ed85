from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from backups.models import Backup
from backups.policies import services, sweeps
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_policies
from clusters.models import Cluster
from tests.policies.conftest import MakePolicy, end
from vbase_console.organizations.models import OrganizationVersion

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> object:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


Clock = time_machine.Traveller


def test_it_fires_what_is_due_and_plans_the_next(make_policy: MakePolicy, clock: Clock) -> None:
    policy = make_policy(schedule_cron="5 12 * * *")
    clock.move_to(NOON + 5 * MINUTE)
    assert sweep_policies() == 1
    run, policy = PolicyRun.objects.get(), BackupPolicy.objects.get()
    assert (run.planned_at, run.status, run.is_catch_up) == (NOON + 5 * MINUTE, "PENDING", False)
    assert policy.next_run_at == NOON + 5 * MINUTE + timedelta(days=1)


def test_its_job_is_told_what_the_policy_wants(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(
        schedule_cron="* * * * *",
        collection_names=["images"],
        on_missing="WARN",
        include_access_control=True,
    )
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    job = PolicyRun.objects.get().job
    assert job is not None
    assert job.collection_names == ["images"]
    assert job.options == {"on_missing": "WARN", "include_access_control": True}


def test_nothing_is_fired_before_its_time(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="5 12 * * *")
    clock.move_to(NOON + 4 * MINUTE)
    assert sweep_policies() == 0


def test_a_paused_policy_is_not_fired(make_policy: MakePolicy, clock: Clock) -> None:
    services.pause_policy(make_policy(schedule_cron="* * * * *"))
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 0


def test_a_second_tick_fires_nothing_again(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="* * * * *")
    clock.move_to(NOON + MINUTE)
    assert (sweep_policies(), sweep_policies()) == (1, 0)


def test_an_edit_takes_effect_at_the_next_tick(make_policy: MakePolicy, clock: Clock) -> None:
    policy = make_policy(schedule_cron="0 3 * * *")
    services.update_policy(policy, schedule_cron="1 12 * * *")
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 1


def test_after_downtime_it_catches_up_once(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="0 * * * *")
    clock.move_to(NOON + timedelta(days=3, minutes=30))
    assert (sweep_policies(), sweep_policies()) == (1, 0)
    assert PolicyRun.objects.get().is_catch_up
    assert BackupPolicy.objects.get().next_run_at == NOON + timedelta(days=3, hours=1)


def test_a_run_that_still_goes_is_not_overlapped(make_policy: MakePolicy, clock: Clock) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    for number in (1, 2):
        clock.move_to(NOON + number * MINUTE)
        sweep_policies()
    skipped = policy.runs.get(planned_at=NOON + 2 * MINUTE)
    assert (skipped.status, skipped.job) == ("SKIPPED", None)
    assert "has not ended" in skipped.skip_reason


def test_the_next_run_goes_when_the_one_before_has_ended(
    make_policy: MakePolicy, clock: Clock
) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    end(policy.runs.get())
    clock.move_to(NOON + 2 * MINUTE)
    sweep_policies()
    assert [run.status for run in policy.runs.all()] == ["PENDING", "SUCCEEDED"]


def test_a_stopped_cluster_is_skipped(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="* * * * *")
    Cluster.objects.update(status="STOPPED", wanted_running=False, condition="STOPPED")
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    assert "is STOPPED" in PolicyRun.objects.get().skip_reason
    assert not Backup.objects.exists()


def test_a_clock_set_back_fires_no_instant_twice(make_policy: MakePolicy, clock: Clock) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    BackupPolicy.objects.update(next_run_at=NOON + MINUTE)
    sweep_policies()
    assert policy.runs.count() == 1


def test_the_last_run_is_copied_to_beat(make_policy: MakePolicy, clock: Clock) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    entry = PeriodicTask.objects.get(name=f"policy:{policy.policy_id}")
    assert entry.last_run_at == NOON + MINUTE


def test_a_tick_makes_no_beat_read_its_rows_again(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="* * * * *")
    before = PeriodicTasks.last_change()
    clock.move_to(NOON + MINUTE)
    assert sweep_policies() == 1
    assert PeriodicTasks.last_change() == before


def test_a_cluster_that_nobody_could_look_at_is_skipped(
    make_policy: MakePolicy, clock: Clock
) -> None:
    """It is neither RUNNING nor on its way there; a person may still try."""
    policy = make_policy(schedule_cron="* * * * *")
    Cluster.objects.update(status="UNKNOWN", condition="UNSEEN")
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    assert (policy.runs.get().status, Backup.objects.count()) == ("SKIPPED", 0)
    assert "is UNKNOWN, because its status could not be read" in policy.runs.get().skip_reason


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "RESIZING", "UPDATE_FAILED"])
def test_a_cluster_that_runs_or_is_on_its_way_there_is_backed_up(
    make_policy: MakePolicy, clock: Clock, status: str
) -> None:
    make_policy(schedule_cron="* * * * *")
    Cluster.objects.update(status=status)
    clock.move_to(NOON + MINUTE)
    sweep_policies()
    assert PolicyRun.objects.get().status == "PENDING"


def queries_of_a_tick() -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        sweep_policies()
    return len(captured)


def test_a_tick_with_nothing_due_costs_the_same_with_thousands(make_policy: MakePolicy) -> None:
    policy = make_policy()
    few = queries_of_a_tick()
    copies = [
        BackupPolicy(
            organization_id=policy.organization_id,
            cluster=policy.cluster,
            name=f"copy {number}",
            schedule_cron="0 3 * * *",
            retention_count=1,
            next_run_at=datetime(2100, 1, 1, tzinfo=UTC),
        )
        for number in range(1000)
    ]
    BackupPolicy.objects.bulk_create(copies)
    assert queries_of_a_tick() == few == 1


def test_one_thread_of_a_process_fires_and_the_others_are_free_for_other_sweeps(
    make_policy: MakePolicy, clock: Clock
) -> None:
    make_policy(schedule_cron="* * * * *")
    clock.move_to(NOON + MINUTE)
    with sweeps._sweeping:
        assert sweep_policies() == 0
    assert sweep_policies() == 1


def test_a_run_costs_so_many_queries_and_no_more(make_policy: MakePolicy, clock: Clock) -> None:
    make_policy(schedule_cron="5 12 * * *")
    clock.move_to(NOON + 5 * MINUTE)
    with CaptureQueriesContext(connection) as captured:
        assert sweep_policies() == 1
    uncounted = ("SAVEPOINT", OrganizationVersion._meta.db_table)
    changes = [
        query["sql"] for query in captured if not any(word in query["sql"] for word in uncounted)
    ]
    assert len(changes) <= 17
