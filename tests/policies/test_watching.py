"""Policies in the admin and in the health answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from backups.policies import services
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_retention, sweep_runs
from tests.policies.pages import back_up, skip
from vbase_console.api import health as api_health
from vbase_console.celery import app
from vbase_console.supervisor.beat import Scheduler
from vbase_console.tasks.sweeps import beat_of

SignedIn = Callable[[User], Client]


@pytest.fixture
def health(client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """The health answer where every part is at work."""
    monkeypatch.setattr(api_health, "broker_answers", lambda: True)

    def asked() -> Any:
        beat_of("worker"), beat_of("beat"), beat_of("worker:1")
        return client.get("/v1/vbase/healthz").json()

    return asked


def test_health_says_since_when_a_policy_waits(
    policy: BackupPolicy, health: Callable[[], Any]
) -> None:
    since = (timezone.now() - timedelta(hours=1)).replace(microsecond=0)
    BackupPolicy.objects.update(next_run_at=since)
    said = health()["components"]["oldestOverduePolicy"]
    assert said == since.isoformat().replace("+00:00", "Z")


def test_a_policy_that_waits_for_long_is_enough_to_degrade_health(
    policy: BackupPolicy, health: Callable[[], Any]
) -> None:
    assert health()["status"] == "SERVING"
    BackupPolicy.objects.update(next_run_at=timezone.now() - timedelta(hours=1))
    assert health()["status"] == "DEGRADED"


def test_support_finds_the_policy_behind_a_schedule(
    policy: BackupPolicy, sam: User, signed_in: SignedIn
) -> None:
    page = signed_in(sam).get("/admin/django_celery_beat/periodictask/")
    assert f"/admin/policies/backuppolicy/{policy.policy_id}/change/" in page.content.decode()


def test_support_sees_a_schedule_and_cannot_change_it(
    policy: BackupPolicy, sam: User, signed_in: SignedIn
) -> None:
    entry = PeriodicTask.objects.get(name=f"policy:{policy.policy_id}")
    page = signed_in(sam).get(f"/admin/django_celery_beat/periodictask/{entry.pk}/change/")
    assert policy.policy_id in page.content.decode()
    assert "_save" not in page.content.decode()


def test_support_sees_policies_and_runs(
    policy: BackupPolicy, sam: User, signed_in: SignedIn
) -> None:
    services.run_now(policy, by="alice")
    for model in ("backuppolicy", "policyrun"):
        page = signed_in(sam).get(f"/admin/policies/{model}/")
        assert policy.policy_id in page.content.decode()


def test_beat_holds_no_policy_in_memory(policy: BackupPolicy) -> None:
    names = set(Scheduler(app=app).schedule)
    assert names == set(app.conf.beat_schedule)


def test_beat_ignores_entries_of_earlier_versions(policy: BackupPolicy) -> None:
    minute = IntervalSchedule.objects.create(every=60, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="vbase.janitor", task="vbase.janitor", interval=minute)
    assert "vbase.janitor" not in Scheduler(app=app).schedule


def age_runs() -> None:
    long_ago = timezone.now() - timedelta(days=500)
    PolicyRun.objects.update(created_at=long_ago, retention_applied_at=long_ago)


def test_how_long_runs_are_kept_is_a_setting(policy: BackupPolicy, settings: object) -> None:
    skip(policy), skip(policy)
    PolicyRun.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert sweep_runs() == 0
    settings.RUN_HISTORY_DAYS = 7  # type: ignore[attr-defined]
    assert sweep_runs() == 1


def test_a_run_whose_retention_was_not_applied_yet_stays(policy: BackupPolicy) -> None:
    back_up(policy), back_up(policy)
    PolicyRun.objects.update(created_at=timezone.now() - timedelta(days=500))
    assert sweep_runs() == 0


def test_old_runs_are_removed_and_their_backups_stay(policy: BackupPolicy) -> None:
    backup, _ = back_up(policy), back_up(policy)
    age_runs()
    assert sweep_runs() == 1
    backup.refresh_from_db()
    assert backup.status == "AVAILABLE"


def test_the_last_run_stays_so_that_a_lower_count_is_applied(policy: BackupPolicy) -> None:
    """And the last that made a backup, where all that came later was skipped."""
    for _ in range(2):
        back_up(policy)
    skip(policy)
    newest = skip(policy)
    age_runs()
    assert sweep_runs() == 2
    assert BackupPolicy.objects.get().last_run == newest
    services.update_policy(policy, retention_count=1)
    assert sweep_retention() == 1


def test_of_a_policy_that_only_skips_the_last_run_stays(policy: BackupPolicy) -> None:
    for _ in range(3):
        skip(policy)
    age_runs()
    assert (sweep_runs(), BackupPolicy.objects.get().last_status) == (2, "SKIPPED")
