"""The clock is set back or forward by an hour: every policy goes on at once, no instant is fired
twice, and beat does not wait for the old time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from backups.policies import dispatch, sweeps
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_policies
from tests.policies.conftest import MakePolicy
from vbase_console.celery import app
from vbase_console.supervisor.beat import Scheduler

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    """Stands until it is moved; every sweep looks for plans that are impossible."""
    monkeypatch.setattr(sweeps, "_corrected", dispatch.Every(0))
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def pass_minutes(clock: time_machine.Coordinates, begin: datetime, count: int) -> None:
    for number in range(count):
        clock.move_to(begin + number * MINUTE)
        sweep_policies()


def fired(policy: BackupPolicy) -> list[datetime]:
    return list(policy.runs.order_by("planned_at").values_list("planned_at", flat=True))


def test_a_policy_fires_at_once_after_the_clock_was_set_back(
    clock: time_machine.Coordinates, make_policy: MakePolicy
) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    pass_minutes(clock, NOON, 4)
    pass_minutes(clock, NOON - HOUR + 3 * MINUTE, 2)
    assert NOON - HOUR + 4 * MINUTE in fired(policy)


def test_no_instant_that_comes_a_second_time_is_fired_twice(
    clock: time_machine.Coordinates, make_policy: MakePolicy
) -> None:
    policy = make_policy(schedule_cron="* * * * *")
    pass_minutes(clock, NOON, 4)
    pass_minutes(clock, NOON - 3 * MINUTE, 10)
    assert fired(policy) == [NOON + number * MINUTE for number in range(-2, 7)]


def test_a_clock_that_is_set_forward_and_back_misses_nothing_that_is_still_to_come(
    clock: time_machine.Coordinates, make_policy: MakePolicy
) -> None:
    policy = make_policy(schedule_cron="*/5 * * * *")
    pass_minutes(clock, NOON, 6)
    clock.move_to(NOON + HOUR)
    sweep_policies()
    assert PolicyRun.objects.filter(is_catch_up=True).count() == 1
    pass_minutes(clock, NOON + 6 * MINUTE, 5)
    assert NOON + 10 * MINUTE in fired(policy)


def test_a_plan_that_is_right_stays(
    clock: time_machine.Coordinates, make_policy: MakePolicy
) -> None:
    for cron in ("* * * * *", "0 3 * * *", "@yearly"):
        make_policy(schedule_cron=cron)
    assert dispatch.correct_next_runs() == 0


def test_an_instant_in_between_is_looked_for_once_a_minute() -> None:
    every = dispatch.Every(60)
    assert [every.is_due(), every.is_due()] == [True, False]


def test_beat_goes_on_at_once_after_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        Scheduler, "apply_async", lambda self, entry, **options: sent.append(entry.name)
    )
    with time_machine.travel(NOON, tick=False) as clock:
        scheduler = Scheduler(app=app)
        scheduler._finalize.cancel()  # at the end of the process it would write to the database
        clock.move_to(NOON + HOUR)
        send_what_is_due(scheduler)
        sent.clear()
        clock.move_to(NOON)
        send_what_is_due(scheduler)
        clock.move_to(NOON + MINUTE)
        send_what_is_due(scheduler)
    assert "vbase.sweep.policies" in sent


def send_what_is_due(scheduler: Scheduler) -> None:
    while scheduler.tick() == 0:
        continue
