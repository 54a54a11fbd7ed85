"""Age of the newest backup at which the schedule's RPO is missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.policies.cron import next_after, parse, zone_of
from backups.policies.rpo import RUN_DURATION_ALLOWANCE, covers, rpo_deadline

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
CRONS = ["* * * * *", "*/5 * * * *", "0 * * * *", "0 3 * * *", "0 0 * * 0", "0 0 29 2 *"]
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"]


@pytest.mark.parametrize(
    ("cron", "ends"),
    [
        ("* * * * *", datetime(2030, 5, 1, 12, 2, tzinfo=UTC)),
        ("0 * * * *", datetime(2030, 5, 1, 14, tzinfo=UTC)),
        ("0 3 * * *", datetime(2030, 5, 2, 5, tzinfo=UTC)),
        ("0 0 * * 0", datetime(2030, 5, 5, 2, tzinfo=UTC)),
    ],
)
def test_a_promise_ends_when_the_next_run_should_be_done(cron: str, ends: datetime) -> None:
    assert rpo_deadline(parse(cron), zone_of("UTC"), NOON) == ends


def test_a_backup_of_the_planned_instant_lasts_until_the_next_run_is_done() -> None:
    three = datetime(2030, 5, 1, 3, 0, 1, tzinfo=UTC)
    assert rpo_deadline(parse("0 3 * * *"), zone_of("UTC"), three) - three > timedelta(hours=25)


def test_the_days_of_a_policy_are_those_of_its_zone() -> None:
    """Three in the morning in Berlin is one in the morning in UTC, in summer."""
    ends = rpo_deadline(parse("0 3 * * *"), zone_of("Europe/Berlin"), NOON)
    assert ends == datetime(2030, 5, 2, 3, tzinfo=UTC)


@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 10**6),
    later=st.integers(0, 10**5),
)
def test_a_newer_backup_never_goes_stale_earlier(
    cron: str, zone: str, minutes: int, later: int
) -> None:
    parsed, place = parse(cron), zone_of(zone)
    taken = NOON + timedelta(minutes=minutes)
    newer = taken + timedelta(minutes=later)
    assert rpo_deadline(parsed, place, taken) <= rpo_deadline(parsed, place, newer)


@given(cron=st.sampled_from(CRONS), zone=st.sampled_from(ZONES), minutes=st.integers(0, 10**6))
def test_every_run_has_time_to_finish(cron: str, zone: str, minutes: int) -> None:
    parsed, place = parse(cron), zone_of(zone)
    planned = next_after(parsed, place, NOON + timedelta(minutes=minutes))
    ends = rpo_deadline(parsed, place, NOON + timedelta(minutes=minutes))
    assert planned < ends <= planned + RUN_DURATION_ALLOWANCE


def test_a_policy_that_names_none_takes_every_collection() -> None:
    assert covers((), "images")
    assert covers(("images",), "images")
    assert not covers(("images",), "texts")
