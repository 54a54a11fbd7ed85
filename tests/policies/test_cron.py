"""Schedules against an independent model: every minute of a year, one by one, in ten zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.policies.cron import (
    BadCron,
    BadZone,
    Cron,
    describe,
    next_after,
    parse,
    runs,
    upcoming,
    zone_of,
)
from tests.policies.walls import (
    CHANGING,
    FIVE_MINUTES,
    YEAR,
    changes,
    expected,
    three_days_round,
    walls,
)

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe",
    "Asia/Kolkata", "Africa/Cairo", "Pacific/Chatham", "Antarctica/Troll", "America/Havana",
]  # fmt: skip
SCHEDULES = [
    "0 3 * * *", "30 2 * * *", "30 1 * * *", "0 0 * * *", "0,30 1-3 * * *", "15 */6 * * *",
    "0 * * * *", "*/20 * * * *", "*/30 0-3 * * *", "10 0-4/2 * * SUN", "0 2 1,15 * MON",
    "5 2 */5 * 6,7", "@weekly", "@monthly",
]  # fmt: skip


def actual(cron: Cron, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    instants = upcoming(cron, zone_of(zone), begin - timedelta(seconds=1))
    return list(takewhile(lambda instant: instant < end, instants))


@pytest.mark.parametrize("zone", ZONES)
def test_it_fires_in_a_year_when_a_wall_clock_says_so(zone: str) -> None:
    """All these schedules, and all changes of clocks, lie on multiples of five minutes."""
    shown = walls(zone, *YEAR, step=FIVE_MINUTES)
    for text in SCHEDULES:
        assert actual(parse(text), zone, *YEAR) == expected(parse(text), shown), text


MOVED = [
    ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 20, tzinfo=UTC)),
    ("America/Caracas", datetime(2016, 4, 30, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 3, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "begin"), MOVED)
def test_it_is_right_where_a_zone_moved_for_good(zone: str, begin: datetime) -> None:
    """By half an hour, or by a whole day that nobody there has seen."""
    end = begin + timedelta(days=4)
    shown = walls(zone, begin, end, step=FIVE_MINUTES)
    for text in SCHEDULES:
        assert actual(parse(text), zone, begin, end) == expected(parse(text), shown), text


def fields(least: int, most: int) -> st.SearchStrategy[str]:
    value = st.integers(least, most)
    ranges = st.tuples(value, value).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.tuples(st.one_of(st.just("*"), ranges), st.integers(1, 7)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    lists = st.lists(st.one_of(value.map(str), ranges), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), steps, lists)


expressions = st.tuples(fields(0, 59), fields(0, 4), st.just("*"), st.just("*"), fields(0, 7))


@settings(max_examples=60, deadline=None)
@given(text=expressions.map(" ".join), zone=st.sampled_from(CHANGING), number=st.integers(0, 1))
def test_it_is_right_round_every_change_of_clock(text: str, zone: str, number: int) -> None:
    begin, end = three_days_round(changes(zone)[number])
    cron = parse(text)
    assert actual(cron, zone, begin, end) == expected(cron, walls(zone, begin, end))


@given(
    text=expressions.map(" ".join),
    zone=st.sampled_from(ZONES),
    seconds=st.integers(0, 366 * 86400),
)
@settings(max_examples=200, deadline=None)
def test_the_next_run_is_the_same_from_anywhere_before_it(
    text: str, zone: str, seconds: int
) -> None:
    after = YEAR[0] + timedelta(seconds=seconds)
    following = next_after(parse(text), zone_of(zone), after)
    just_before = following - timedelta(microseconds=1)
    assert following > after
    assert next_after(parse(text), zone_of(zone), just_before) == following


BAD = [
    "", "* * * *", "0 0 * * * *", "0 0 L * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 ? * *",
    "@reboot", "@every 5m", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
    "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *", "-1 * * * *", "*-5 * * * *",
    "0 0 30 2 *", "0 0 31 4,6 *", "1/ * * * *", "\u0661 * * * *", "1.5 * * * *", "0 0 * foo *",
    "0 0 * * mon-", "H * * * *",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_it_refuses_what_cron_does_not_know(text: str) -> None:
    with pytest.raises(BadCron):
        parse(text)


def test_a_refusal_says_what_to_write() -> None:
    with pytest.raises(BadCron, match="0 to 59"):
        parse("61 * * * *")


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "Europe", "UTC\x00"])
def test_it_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(BadZone, match="Europe/Berlin"):
        zone_of(name)


def test_names_and_seven_are_the_same_as_numbers() -> None:
    assert parse("0 0 * jan-mar sun,Tue").values == parse("0 0 * 1-3 7,2").values


def test_a_leap_day_fires_in_leap_years() -> None:
    found = runs(parse("0 0 29 2 *"), UTC, YEAR[0], 2)
    assert [instant.year for instant in found] == [2028, 2032]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * * *", "At 03:00 every day"),
        ("@hourly", "At the start of every hour"),
        ("0 0 1 * MON", "At 00:00 on the first day of month or on Monday"),
    ],
)
def test_it_says_a_schedule_in_words(text: str, words: str) -> None:
    assert describe(parse(text)) == words
