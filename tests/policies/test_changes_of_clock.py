"""The night of each change of clock and the next one, through the dispatcher and the database, with
a moved clock: nothing doubled, nothing missed, nothing late.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
import time_machine

from backups.policies.cron import parse
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_policies
from tests.policies.conftest import MakePolicy
from tests.policies.walls import (
    CHANGING,
    FIVE_MINUTES,
    changes,
    expected,
    walls,
)

FIXED = ["30 2 * * *", "30 1 * * *", "0 0 * * *", "0,15 0-3 * * *"]
REAL_TIME = ["*/30 0-4 * * *", "45 */3 * * *"]
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("zone", CHANGING)
def test_nothing_is_doubled_or_missed(zone: str, number: int, make_policy: MakePolicy) -> None:
    change = changes(zone)[number]
    begin, end = change - 6 * HOUR, change + 30 * HOUR
    before = begin - FIVE_MINUTES
    shown = walls(zone, before, end, step=FIVE_MINUTES)
    meant = {text: expected(parse(text), shown) for text in FIXED + REAL_TIME}
    with time_machine.travel(before, tick=False) as clock:
        policies = [make_policy(schedule_cron=text, timezone=zone) for text in meant]
        for instant in looks(begin, end, meant.values()):
            clock.move_to(instant)
            sweep_policies()
    for policy in policies:
        assert fired(policy) == [at for at in meant[policy.schedule_cron] if at > before]
    assert not PolicyRun.objects.filter(is_catch_up=True).exists()


def looks(begin: datetime, end: datetime, meant: Iterable[list[datetime]]) -> list[datetime]:
    """When something is due, a moment later, and every hour: between them nothing could be seen."""
    due = {at for instants in meant for at in instants if at >= begin}
    hours = {begin + hour * HOUR for hour in range((end - begin) // HOUR)}
    return sorted(due | {at + FIVE_MINUTES for at in due} | hours)


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
