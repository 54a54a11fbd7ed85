"""The three days round each change of clock, through the dispatcher and the database, with a moved
clock: nothing doubled, nothing missed, nothing late.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from backups.policies.cron import parse
from backups.policies.dispatch import sweep_policies
from backups.policies.models import BackupPolicy, PolicyRun
from tests.policies.conftest import MakePolicy
from tests.policies.walls import (
    CHANGING,
    FIVE_MINUTES,
    changes,
    expected,
    three_days_round,
    walls,
)

FIXED = ["30 2 * * *", "30 1 * * *", "0 0 * * *", "0,15 0-3 * * *"]
REAL_TIME = ["*/30 0-4 * * *", "45 */3 * * *"]
TICK = 3 * FIVE_MINUTES


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("zone", CHANGING)
def test_nothing_is_doubled_or_missed(zone: str, number: int, make_policy: MakePolicy) -> None:
    begin, end = three_days_round(changes(zone)[number])
    before = begin - FIVE_MINUTES
    with time_machine.travel(before, tick=False) as clock:
        policies = [make_policy(schedule_cron=text, timezone=zone) for text in FIXED + REAL_TIME]
        for tick in range((end - begin) // TICK):
            clock.move_to(begin + tick * TICK)
            sweep_policies()
    shown = walls(zone, before, end, step=FIVE_MINUTES)
    for policy in policies:
        meant = expected(parse(policy.schedule_cron), shown)
        assert fired(policy) == [instant for instant in meant if instant > before]
    assert not PolicyRun.objects.filter(is_catch_up=True).exists()


@pytest.mark.parametrize("zone", CHANGING)
def test_who_was_down_while_the_clock_was_changed_catches_up_once(
    zone: str, make_policy: MakePolicy
) -> None:
    change = changes(zone)[1]
    with time_machine.travel(change - timedelta(hours=1), tick=False) as clock:
        policies = [make_policy(schedule_cron=text, timezone=zone) for text in REAL_TIME]
        clock.move_to(change + timedelta(days=1))
        for _ in range(2):
            sweep_policies()
    assert all(len(fired(policy)) == 1 for policy in policies)
    assert PolicyRun.objects.filter(is_catch_up=True).count() == len(policies)


def fired(policy: BackupPolicy) -> list[object]:
    return list(policy.runs.order_by("planned_at").values_list("planned_at", flat=True))
