"""Cron expressions: parse, next run, describe."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from backups.policies.retention import ordinal

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
ITEM = re.compile(r"(\*|[A-Z0-9]+)(?:-([A-Z0-9]+))?(?:/([0-9]{1,3}))?")
NUMBER = re.compile(r"[0-9]{1,3}")


class BadField(ValueError):
    """The message names the field and what may stand in it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    """Names of the values, from `first_name` on."""
    first_name: int = 0

    @property
    def size(self) -> int:
        """Number of values; 0 and 7 are the same Sunday."""
        return len(WEEKDAYS) if self.names == WEEKDAYS else self.most - self.least + 1

    @property
    def allowed(self) -> str:
        words = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.least} to {self.most}{words}"


FIELDS = (
    Field(name="minute", least=0, most=59),
    Field(name="hour", least=0, most=23),
    Field(name="day of month", least=1, most=31),
    Field(name="month", least=1, most=12, names=MONTHS, first_name=1),
    Field(name="day of week", least=0, most=7, names=WEEKDAYS),
)


def values_of(field: Field, text: str) -> frozenset[int]:
    """All that it matches; of the days of the week 0 is Sunday, and 7 too."""
    found: set[int] = set()
    for item in text.upper().split(","):
        found |= _item(field, item)
    return frozenset(value % 7 for value in found) if field.names == WEEKDAYS else frozenset(found)


def in_ranges(values: Iterable[int]) -> str:
    """In numbers; three and more in a row are one range."""
    rows = groupby(enumerate(sorted(values)), key=lambda pair: pair[1] - pair[0])
    return ",".join(_in_a_row([value for _, value in row]) for _, row in rows)


def _in_a_row(row: list[int]) -> str:
    return f"{row[0]}-{row[-1]}" if len(row) > 2 else ",".join(map(str, row))


def _item(field: Field, item: str) -> set[int]:
    match = ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise _bad(field, item)
    first, last = _bounds(field, item, match)
    step = int(match[3] or 1)
    if step == 0:
        raise BadField(f"'{item}' in the field {field.name}: a step is 1 or more.")
    if last < first:
        raise BadField(
            f"'{item}' in the field {field.name} ends before it begins; write it as two parts "
            "with a comma between them."
        )
    return set(range(first, last + 1, step))


def _bounds(field: Field, item: str, match: re.Match[str]) -> tuple[int, int]:
    if match[1] == "*":
        return field.least, field.most
    first = _value(field, item, match[1])
    if match[2]:
        return first, _value(field, item, match[2])
    return first, field.most if match[3] else first


def _value(field: Field, item: str, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.first_name
    if NUMBER.fullmatch(text) and field.least <= int(text) <= field.most:
        return int(text)
    raise _bad(field, item)


def _bad(field: Field, item: str) -> BadField:
    return BadField(
        f"'{item}' is not possible in the field {field.name}: use {field.allowed}, "
        "with lists (1,2), ranges (1-5), steps (*/15) or *; L, W, # and ? are not known."
    )


MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MAX_EXPRESSION_LENGTH = 200
MAX_DESCRIBED_TIMES = 4
"""Times of a day that are named one by one; more are described by minute and hour."""
DAY = timedelta(days=1)
ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a time on the wall has no zone
EXCLUDED_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")
"""Files beside the zones: copies that count differently, or stand for where the server is."""
ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+/-]{0,62}", re.ASCII)


class BadCron(ValueError):
    """The text is no schedule; the message says what to write instead."""


class BadZone(ValueError):
    """There is no such time zone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cron:
    """A schedule that fires some day."""

    text: str
    """As it was given."""
    expression: str
    """Five fields in numbers; a field that began with a star still does."""
    values: tuple[frozenset[int], ...]
    """Matched values of each field."""

    @property
    def is_real_time(self) -> bool:
        """A star in minute or hour: it means "every so often", whatever clocks are changed to."""
        minute, hour, *_ = self.expression.split()
        return minute.startswith("*") or hour.startswith("*")

    @property
    def needs_both_days(self) -> bool:
        """Day of month and day of week must both match; otherwise either is enough."""
        _, _, day, _, weekday = self.expression.split()
        return day.startswith("*") or weekday.startswith("*")


@lru_cache(maxsize=4096)
def parse(text: str) -> Cron:
    """Parse an expression. The length limit counts blanks, because the text is stored as given."""
    given = " ".join(text[: MAX_EXPRESSION_LENGTH + 1].split())
    if given.startswith("@") and given not in MACROS:
        raise BadCron(f"'{given}' is not known; use one of {', '.join(MACROS)}, or five fields.")
    parts = MACROS.get(given, given).split()
    if len(text) > MAX_EXPRESSION_LENGTH or len(parts) != len(FIELDS) or not given.isascii():
        raise BadCron(
            "Give five fields: minute, hour, day of month, month, day of week; "
            "for example '0 3 * * *' for every day at 3:00."
        )
    return _checked(given, parts)


def _checked(given: str, parts: list[str]) -> Cron:
    try:
        values = tuple(values_of(field, part) for field, part in zip(FIELDS, parts, strict=True))
    except BadField as error:
        raise BadCron(str(error)) from error
    written = [
        part.upper() if part.startswith("*") else _written_out(each)
        for part, each in zip(parts, values, strict=True)
    ]
    cron = Cron(text=given, expression=" ".join(written), values=values)
    _require_some_day(cron)
    return cron


def _written_out(values: frozenset[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def _require_some_day(cron: Cron) -> None:
    try:
        next(CronSim(cron.expression, ANY_DAY))
    except (CronSimError, StopIteration) as error:
        raise BadCron(
            f"'{cron.text}' never fires: there is no such day. Choose a day that the month has."
        ) from error


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """A zone of the IANA database."""
    try:
        if ZONE.fullmatch(name) and not name.startswith(EXCLUDED_ZONES):
            return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        pass  # said below, like a name that is none
    raise BadZone(f"'{name[:64]}' is no time zone; use a name such as UTC or Europe/Berlin.")


def next_after(cron: Cron, zone: tzinfo, after: datetime) -> datetime:
    """The first instant later than `after`, in UTC."""
    after = after.astimezone(UTC)
    if cron.is_real_time:
        return min(_next_shown(cron, zone, after, fold) for fold in (0, 1))
    start = after.astimezone(zone).replace(tzinfo=None)
    instants = (_at_or_behind_gap(wall, zone) for wall in CronSim(cron.expression, start))
    return next(instant for instant in instants if instant > after)


def upcoming(cron: Cron, zone: tzinfo, start: datetime) -> Iterator[datetime]:
    """Every instant later than `start`, without an end."""
    while True:
        start = next_after(cron, zone, start)
        yield start


def runs(cron: Cron, zone: tzinfo, start: datetime, count: int) -> list[datetime]:
    return list(islice(upcoming(cron, zone, start), count))


def describe(cron: Cron) -> str:
    """In words, for example "At 03:00 every day"."""
    text = CronSim(_shortly(cron), ANY_DAY).explain().replace(" through ", " to ")
    text = re.sub(r"\bon (\w+day to )", r"from \1", text)
    if not cron.needs_both_days:
        text = re.sub(r" and (on|from) (?=\w+day\b)", r" or \1 ", text)
    return re.sub(r"\b(\d+)th\b", lambda found: ordinal(int(found[1])), text)


def in_words(text: str) -> str:
    """Describe an expression. Returns the text itself if it is not valid."""
    try:
        return describe(parse(text))
    except BadCron:
        return text


def _shortly(cron: Cron) -> str:
    """An expression of the same meaning that is as short as can be, for reading."""
    parts = cron.expression.split()
    said = [_said(*each) for each in zip(FIELDS, parts, cron.values, strict=True)]
    minutes, hours, *_ = cron.values
    if len(minutes) * len(hours) <= MAX_DESCRIBED_TIMES:
        said[:2] = parts[:2]
    if not cron.needs_both_days and "*" in (said[2], said[4]):
        said[2] = said[4] = "*"
    return " ".join(said)


def _said(field: Field, part: str, values: frozenset[int]) -> str:
    if len(values) == field.size:
        return "*"
    if part.startswith("*"):
        return part
    until_sunday = field.most == 7 and 6 in values
    return in_ranges({value or 7 for value in values} if until_sunday else values)


def _next_shown(cron: Cron, zone: tzinfo, after: datetime, fold: int) -> datetime:
    """Find the first matching local time that exists and is later than `after`.

    Of times shown twice, `fold` selects the first (0) or the second (1).

    The wall may be set back within a day: what it shows then is sought from there.
    """
    offset = min(_offset(zone, after), _offset(zone, after + DAY))
    for wall in CronSim(cron.expression, (after + offset).replace(tzinfo=None)):
        instant = _instant(wall, zone, fold)
        if instant > after and _wall(instant, zone) == wall:
            return instant
    raise BadCron(f"'{cron.text}' never fires.")


def _at_or_behind_gap(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the wall shows this time or has jumped over it."""
    instant = _instant(wall, zone, 0)
    return instant if _wall(instant, zone) == wall else _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: tzinfo) -> datetime:
    before, behind = _instant(wall, zone, 1), _instant(wall, zone, 0)
    while behind - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(behind - before) // timedelta(seconds=2))
        if _wall(middle, zone) < wall:
            before = middle
        else:
            behind = middle
    return behind


def _instant(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
