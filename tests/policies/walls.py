"""An independent model of schedules: look at a wall clock at every instant, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from backups.policies.cron import Cron

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
"""All changes of clocks lie on multiples of it."""

CHANGING = [
    "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago",
    "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Chatham", "Antarctica/Troll",
    "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut",
]  # fmt: skip
"""Zones with two changes of clock in that year: at midnight (Havana, Santiago, Cairo, Beirut), by
half an hour (Lord Howe) and by two (Troll), in the south, and backwards (Dublin, Casablanca).
"""

Walls = list[tuple[datetime, datetime, tuple[datetime, ...]]]


def walls(zone: str, begin: datetime, end: datetime, step: timedelta = MINUTE) -> Walls:
    """Each minute (or so), what a wall shows at it, and what of that and of what it has jumped
    over it shows for the first time.
    """
    info, shown = ZoneInfo(zone), Walls()
    highest = _on_the_wall(begin, info) - step
    while begin < end:
        wall = _on_the_wall(begin, info)
        passed = range(1, (wall - highest) // step + 1)
        shown.append((begin, wall, tuple(highest + number * step for number in passed)))
        highest = max(highest, wall)
        begin += step
    return shown


def _on_the_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def is_meant(cron: Cron, wall: datetime) -> bool:
    minutes, hours, days, months, weekdays = cron.values
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    day, weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
    return (day and weekday) if cron.needs_both_days else (day or weekday)


def expected(cron: Cron, minutes: Walls) -> list[datetime]:
    """A star: whenever the wall shows it. Otherwise when the wall first shows it or jumps it."""
    if cron.is_real_time:
        return [instant for instant, wall, _ in minutes if is_meant(cron, wall)]
    passed = ((at, wall) for at, _, walls in minutes for wall in walls)
    return list(dict.fromkeys(at for at, wall in passed if is_meant(cron, wall)))


@cache
def changes(zone: str) -> list[datetime]:
    """The hours of the year before which its clock was changed."""
    info = ZoneInfo(zone)
    hours = [YEAR[0] + timedelta(hours=number) for number in range(24 * 365)]
    offsets = [(hour, hour.astimezone(info).utcoffset()) for hour in hours]
    return [later for (_, one), (later, other) in pairwise(offsets) if one != other]


def three_days_round(change: datetime) -> tuple[datetime, datetime]:
    begin = (change - timedelta(days=1, hours=12)).replace(minute=0)
    return begin, begin + timedelta(days=3)
