"""Kept outcomes of days: what the protection calendar is drawn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from backups import observers
from backups.models import Backup
from backups.policies import days
from backups.policies.dispatch import fire
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.policies.services import run_now
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from tests.policies.conftest import MakePolicy, end
from tests.policies.pages import newest_run


def run(policy: BackupPolicy, **facts: object) -> Backup:
    run_now(policy, by="alice")
    backup = end(newest_run(policy), **facts)  # type: ignore[arg-type]
    observers.job_finished(newest_run(policy).job, succeeded=facts.get("state") != "FAILED")
    return backup


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "good"),
        ({"state": "FAILED"}, "failed"),
        ({"state": "CANCELLED"}, "failed"),
        ({"omissions": ["images is missing."]}, "failed"),
    ],
)
def test_the_end_of_a_run_decides_its_day(
    policy: BackupPolicy, facts: dict[str, object], outcome: str
) -> None:
    run(policy, **facts)
    assert PolicyDay.objects.get().outcome == outcome


def test_the_worst_run_decides_the_day(policy: BackupPolicy) -> None:
    run(policy, state="FAILED")
    run(policy)
    day = PolicyDay.objects.get()
    assert (day.good, day.failed, day.outcome) == (1, 1, "failed")


def test_a_run_that_is_skipped_is_missed(policy: BackupPolicy, cluster: Cluster) -> None:
    stopped = {"status": ServiceStatus.STOPPED, "condition": Condition.STOPPED}
    Cluster.objects.update(**stopped, wanted_running=False)
    planned_at = timezone.now().replace(microsecond=0)
    BackupPolicy.objects.update(next_run_at=planned_at)
    fire(policy.pk, cluster.pk, planned_at)
    assert PolicyDay.objects.get().outcome == "missed"


def test_damage_turns_a_good_day(policy: BackupPolicy) -> None:
    backup = run(policy)
    Backup.objects.update(damage_found_by="reading")
    observers.backup_damaged(backup)
    assert PolicyDay.objects.get().outcome == "failed"


def test_a_catch_up_marks_the_days_on_which_no_run_was_started(
    make_policy: MakePolicy, cluster: Cluster
) -> None:
    policy = make_policy(schedule_cron="0 3 * * *")
    planned_at = (timezone.now() - timedelta(days=5)).replace(
        hour=3, minute=0, second=0, microsecond=0
    )
    BackupPolicy.objects.update(next_run_at=planned_at)
    fire(policy.pk, cluster.pk, planned_at)
    gaps = PolicyDay.objects.filter(has_gap=True).values_list("day", flat=True)
    assert planned_at.date() not in gaps
    assert {planned_at.date() + timedelta(days=n) for n in range(1, 5)} <= set(gaps)


def test_a_gap_of_minutes_costs_a_step_for_each_day(policy: BackupPolicy) -> None:
    BackupPolicy.objects.update(schedule_cron="* * * * *")
    policy.refresh_from_db()
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    days.record_gap(policy, now - timedelta(days=400), now)
    assert PolicyDay.objects.count() == days.CALENDAR_DAYS + 1


def test_a_day_is_that_of_the_policys_zone(make_policy: MakePolicy) -> None:
    policy = make_policy(timezone="Asia/Tokyo")
    run(policy)
    late = datetime(2026, 3, 1, 20, tzinfo=UTC)  # the second of March in Tokyo
    PolicyRun.objects.update(planned_at=late)
    days.recount_day(policy, late)
    assert PolicyDay.objects.order_by("day")[0].day.isoformat() == "2026-03-02"


def test_a_retry_replaces_the_failure_of_its_run(policy: BackupPolicy) -> None:
    run(policy, state="FAILED")
    job = newest_run(policy).job
    assert job is not None
    observers.job_retried(job, job)
    end(newest_run(policy))
    observers.job_finished(job, succeeded=True)
    day = PolicyDay.objects.get()
    assert (day.good, day.failed) == (1, 0)


def test_old_days_are_removed(policy: BackupPolicy) -> None:
    own = {"organization_id": policy.organization_id, "policy": policy}
    today = timezone.now().date()
    PolicyDay.objects.create(**own, day=today - timedelta(days=90))
    PolicyDay.objects.create(**own, day=today)
    days.remove_old()
    assert [day.day for day in PolicyDay.objects.all()] == [today]
