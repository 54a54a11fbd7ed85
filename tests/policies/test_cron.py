"""Schedules against an independent model: a whole year, instant by instant, in ten zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.policies.cron import (
    FIELDS,
    BadCron,
    BadZone,
    Cron,
    CronField,
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

UNLIKE = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Antarctica/Troll"]
ALIKE = [
    "America/New_York", "America/Santiago", "Asia/Kolkata", "Pacific/Chatham", "America/Havana",
]  # fmt: skip
ZONES = UNLIKE + ALIKE
SCHEDULES = [
    "0 3 * * *", "30 2 * * *", "30 1 * * *", "0 0 * * *", "0,30 1-3 * * *", "15 */6 * * *",
    "0 * * * *", "*/20 */5 * * *", "*/30 0-3 * * *", "10 0-4/2 * * SUN", "0 2 1,15 * MON",
    "5 2 */5 * 6,7", "@weekly", "@monthly",
]  # fmt: skip


def actual(cron: Cron, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    instants = upcoming(cron, zone_of(zone), begin - timedelta(seconds=1))
    return list(takewhile(lambda instant: instant < end, instants))


@pytest.mark.parametrize(
    "zone", [*UNLIKE, *(pytest.param(zone, marks=pytest.mark.torture) for zone in ALIKE)]
)
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
    """By half an hour, or by a whole day that did not exist there."""
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


@settings(max_examples=40, deadline=None)
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


STEPPED = [
    ("0-30/10 2 * * *", ["01:00"]),
    ("0,10,20,30 2 * * *", ["01:00"]),
    ("*/10 2 * * *", []),
    ("0-59/10 * * * *", ["00:00", "00:10", "00:20", "00:30", "00:40", "00:50", "01:00", "01:10"]),
]


@pytest.mark.parametrize(("text", "shown"), STEPPED)
def test_a_range_with_a_step_is_a_list_of_fixed_times_and_only_a_star_is_real_time(
    text: str, shown: list[str]
) -> None:
    """On the night when clocks in Berlin go from 02:00 to 03:00, which is 01:00 in UTC."""
    begin = datetime(2026, 3, 29, tzinfo=UTC)
    found = actual(parse(text), "Europe/Berlin", begin, begin + timedelta(minutes=80))
    assert [f"{instant:%H:%M}" for instant in found] == shown


BAD = [
    "", "* * * *", "0 0 * * * *", "0 0 L * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 ? * *",
    "@reboot", "@every 5m", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
    "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *", "-1 * * * *", "*-5 * * * *",
    "0 0 30 2 *", "0 0 31 4,6 *", "1/ * * * *", "\u0661 * * * *", "1.5 * * * *", "0 0 * foo *",
    "0 0 * * mon-", "H * * * *", "@HOURLY", "@Daily", "@daily 5", "0" + 300 * " " + "3 * * *",
    "0 0 * * fri-sun", "0 0 * dec-jan *", "5-5-5 * * * *", "5/ * * * *", "/5 * * * *",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_it_refuses_what_cron_does_not_know(text: str) -> None:
    with pytest.raises(BadCron):
        parse(text)


def test_a_refusal_says_what_to_write() -> None:
    with pytest.raises(BadCron, match="0 to 59"):
        parse("61 * * * *")


NO_ZONES = [
    "", "Mars/Base", "../etc/passwd", "Europe", "UTC\x00", "localtime", "posixrules", "Factory",
    "posix/Europe/Berlin", "right/Europe/Berlin",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_ZONES)
def test_it_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(BadZone, match="Europe/Berlin"):
        zone_of(name)


def test_names_and_seven_are_the_same_as_numbers() -> None:
    assert parse("0 0 * jan-mar sun,Tue").values == parse("0 0 * 1-3 7,2").values


def test_a_leap_day_fires_in_leap_years() -> None:
    found = runs(parse("0 0 29 2 *"), UTC, YEAR[0], 2)
    assert [instant.year for instant in found] == [2028, 2032]


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "US/Eastern", "EST5EDT", "Asia/Kolkata"])
def test_whatever_names_a_zone_is_one(name: str) -> None:
    assert str(zone_of(name)) == name


MEANT = [
    (0, "1-10/3", {1, 4, 7, 10}), (0, "5/15", {5, 20, 35, 50}), (0, "1,15", {1, 15}),
    (0, "*/5,3", {0, 3, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55}), (0, "7-7/2", {7}),
    (0, "30-40/20", {30}), (0, "59/2", {59}), (0, "03", {3}), (1, "22-23", {22, 23}),
    (1, "*/8", {0, 8, 16}), (1, "0-23/12", {0, 12}), (2, "*/10", {1, 11, 21, 31}),
    (2, "28-31", {28, 29, 30, 31}), (2, "1,10-12", {1, 10, 11, 12}), (3, "jan", {1}),
    (3, "*/5", {1, 6, 11}), (3, "oct-DEC", {10, 11, 12}), (3, "FEB-8/3", {2, 5, 8}),
    (3, "Nov/1", {11, 12}), (4, "MON-FRI/2", {1, 3, 5}), (4, "sun-sat", {0, 1, 2, 3, 4, 5, 6}),
    (4, "5-7", {0, 5, 6}), (4, "0-7", {0, 1, 2, 3, 4, 5, 6}), (4, "7", {0}), (4, "0,7", {0}),
    (4, "*/2", {0, 2, 4, 6}), (4, "6/1", {0, 6}), (4, "Sun,wed", {0, 3}), (4, "sat-7", {0, 6}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "text", "values"), MEANT)
def test_a_field_matches_what_the_manual_says(place: int, text: str, values: set[int]) -> None:
    parts = ["*"] * 5
    parts[place] = text
    assert parse(" ".join(parts)).values[place] == values


@st.composite
def items(draw: st.DrawFn, field: CronField) -> str:
    """One of a list. A range of one value with a step, `5-5/2`, is left out: it is that value in
    cron, and in cronsim everything from there on.
    """
    first = draw(st.integers(field.least, field.most))
    last = draw(st.integers(first, field.most))
    step = draw(st.integers(1, 40))
    begin, end = (draw(st.sampled_from(spelled(field, value))) for value in (first, last))
    alone = [begin, f"{begin}-{end}", f"{begin}/{step}", "*", f"*/{step}"]
    return draw(st.sampled_from(alone + [f"{begin}-{end}/{step}"] * (first < last)))


def spelled(field: CronField, value: int) -> list[str]:
    names = dict(enumerate(field.names, field.first_name))
    return [str(value), names[value], names[value].lower()] if value in names else [str(value)]


lists = [st.lists(items(field), min_size=1, max_size=3).map(",".join) for field in FIELDS]
MINUTES = st.integers(0, 5_000_000).map(lambda number: YEAR[0] + timedelta(minutes=number))


@settings(max_examples=300, deadline=None)
@given(text=st.tuples(*lists).map(" ".join), start=MINUTES)
def test_it_reads_what_cronsim_reads(text: str, start: datetime) -> None:
    """All five fields at once, with either day or both; what never fires is refused by both."""
    try:
        theirs = list(islice(CronSim(text, start), 1))
    except CronSimError:
        theirs = []
    try:
        ours = runs(parse(text), UTC, start, 1)
    except BadCron:
        ours = []
    assert ours == theirs


WORDS = [
    ("0 3 * * *", "At 03:00 every day"),
    ("@hourly", "Every hour"),
    ("0 0 1 * MON", "At 00:00 on the first day of month or on Monday"),
    ("30 2 * * MON-FRI", "At 02:30 from Monday to Friday"),
    ("0 0 * * 5-7", "At 00:00 from Friday to Sunday"),
    ("0 0 * * SAT,SUN", "At 00:00 on Saturday and Sunday"),
    ("0 0 31 * *", "At 00:00 on the 31st day of every month"),
    ("0 0 22 1-3 *", "At 00:00 on the 22nd day of every month from January to March"),
    ("0 0 1,21,23 * *", "At 00:00 on the first, the 21st, and the 23rd day of month"),
    ("0 0 11,12,13 * *", "At 00:00 on every day of month from 11 to 13"),
    ("*/22 * * * *", "Every 22nd minute of every hour"),
    ("*/5 * * * *", "Every 5 minutes"),
    ("*/15 8-18 * * 1-5", "Every 15 minutes from 08:00 to 18:59 from Monday to Friday"),
    ("0 */6 * * *", "Every 6 hours"),
    ("30 */4 * * *", "Every 4 hours at minute 30"),
    ("0 */5 * * *", "At minute 0 past every fifth hour"),
    ("15 * * * *", "Every hour at minute 15"),
    ("0-59 * * * *", "Every minute"),
    ("0-59 3 * * *", "Every minute from 03:00 to 03:59"),
    ("5-59 * * * *", "Every minute from 5 to 59 of every hour"),
    ("* 9-17 * * 1-5", "Every minute from 09:00 to 17:59 from Monday to Friday"),
    ("0 1-3 * * *", "At 01:00, 02:00, and 03:00 every day"),
    ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
    ("0 0 1-7 * 1", "At 00:00 on every day of month from 1 to 7 or on Monday"),
    ("0 0 1 * 1-5", "At 00:00 on the first day of month or from Monday to Friday"),
    ("0 0 1-31 * 1", "At 00:00 every day"),
    ("0 0 */2 * 1", "At 00:00 on every second day of month if it's on Monday"),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_it_says_a_schedule_in_words(text: str, words: str) -> None:
    assert describe(parse(text)) == words
