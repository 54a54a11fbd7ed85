"""Cron expressions: parse, next run, describe."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
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
    """A field is not valid. The message names the field and its valid values."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CronField:
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
    CronField(name="minute", least=0, most=59),
    CronField(name="hour", least=0, most=23),
    CronField(name="day of month", least=1, most=31),
    CronField(name="month", least=1, most=12, names=MONTHS, first_name=1),
    CronField(name="day of week", least=0, most=7, names=WEEKDAYS),
)


def values_of(field: CronField, text: str) -> frozenset[int]:
    """Return the matched values. Sunday is 0, also if written as 7."""
    values: set[int] = set()
    for item in text.upper().split(","):
        values |= _item(field, item)
    return (
        frozenset(value % 7 for value in values) if field.names == WEEKDAYS else frozenset(values)
    )


def in_ranges(values: Iterable[int]) -> str:
    """Format numbers. Three or more consecutive numbers become a range."""
    texts = []
    for _, pairs in groupby(enumerate(sorted(values)), key=lambda pair: pair[1] - pair[0]):
        row = [value for _, value in pairs]
        texts.append(f"{row[0]}-{row[-1]}" if len(row) > 2 else ",".join(map(str, row)))
    return ",".join(texts)


def _item(field: CronField, item: str) -> set[int]:
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


def _bounds(field: CronField, item: str, match: re.Match[str]) -> tuple[int, int]:
    if match[1] == "*":
        return field.least, field.most
    first = _value(field, item, match[1])
    if match[2]:
        return first, _value(field, item, match[2])
    return first, field.most if match[3] else first


def _value(field: CronField, item: str, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.first_name
    if NUMBER.fullmatch(text) and field.least <= int(text) <= field.most:
        return int(text)
    raise _bad(field, item)


def _bad(field: CronField, item: str) -> BadField:
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
"""Limit of times of a day that are listed individually. More are described by minute and hour."""
DAY = timedelta(days=1)
STEPS = {
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    **{f"{step}th": step for step in (10, 12, 15, 20, 30)},
}
"""Words of steps. A step that does not divide the hour or the day keeps its ordinal, because the
interval around its end is shorter.
"""
SAID: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (
        re.compile(
            r"^Every (third|fourth|fifth|sixth|second|1[025]th|[23]0th) minute(?: of every hour)?"
        ),
        lambda match: f"Every {STEPS[match[1]]} minutes",
    ),
    (
        re.compile(r"^At minute (\d+) past every (second|third|fourth|sixth|eighth|12th) hour"),
        lambda match: f"Every {STEPS[match[2]]} hours at minute {match[1]}",
    ),
    (re.compile(r"^At the start of every hour"), "Every hour"),
    (re.compile(r"^At minute (\d+) of every hour"), r"Every hour at minute \1"),
    (
        re.compile(r"^At minute (\d+) past every hour from (\d+) to (\d+)"),
        lambda match: (
            f"Every hour from {int(match[2]):02}:{int(match[1]):02} to "
            f"{int(match[3]):02}:{int(match[1]):02}"
        ),
    ),
    (re.compile(r" at minute 0\b"), ""),
]
"""Descriptions of the library → words as people say them."""
ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a local time has no zone
EXCLUDED_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")
"""Prefixes of files that are no zones: variants of zones, and the zone of the server."""
ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+/-]{0,62}", re.ASCII)


class BadCron(ValueError):
    """A schedule is not valid. The message gives the remedy."""


class BadZone(ValueError): ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cron:
    """A valid schedule with at least one run."""

    text: str
    """As entered."""
    expression: str
    """Five fields in numbers. A leading star is kept."""
    values: tuple[frozenset[int], ...]
    """Matched values of each field."""

    @property
    def is_real_time(self) -> bool:
        """True for an interval schedule (a star in minute or hour), which ignores clock changes."""
        minute, hour, *_ = self.expression.split()
        return minute.startswith("*") or hour.startswith("*")

    @property
    def needs_both_days(self) -> bool:
        """True if day of month and day of week must both match. Otherwise either is enough."""
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
    try:
        values = tuple(values_of(field, part) for field, part in zip(FIELDS, parts, strict=True))
    except BadField as error:
        raise BadCron(str(error)) from error
    fields = [
        part.upper() if part.startswith("*") else ",".join(map(str, sorted(matched)))
        for part, matched in zip(parts, values, strict=True)
    ]
    cron = Cron(text=given, expression=" ".join(fields), values=values)
    try:
        next(CronSim(cron.expression, ANY_DAY))
    except (CronSimError, StopIteration) as error:
        raise BadCron(
            f"'{cron.text}' never fires: there is no such day. Choose a day that the month has."
        ) from error
    return cron


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """Return a zone of the IANA database."""
    try:
        if ZONE.fullmatch(name) and not name.startswith(EXCLUDED_ZONES):
            return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        pass  # reported below
    raise BadZone(f"'{name[:64]}' is no time zone; use a name such as UTC or Europe/Berlin.")


def next_after(cron: Cron, zone: tzinfo, after: datetime) -> datetime:
    """Return the first run later than `after`, in UTC."""
    after = after.astimezone(UTC)
    if cron.is_real_time:
        return min(_next_real_time(cron, zone, after, fold) for fold in (0, 1))
    start = after.astimezone(zone).replace(tzinfo=None)
    instants = (_first_at_or_after(wall, zone) for wall in CronSim(cron.expression, start))
    return next(instant for instant in instants if instant > after)


def upcoming(cron: Cron, zone: tzinfo, start: datetime) -> Iterator[datetime]:
    while True:
        start = next_after(cron, zone, start)
        yield start


def runs(cron: Cron, zone: tzinfo, start: datetime, count: int) -> list[datetime]:
    return list(islice(upcoming(cron, zone, start), count))


def describe(cron: Cron) -> str:
    """Describe a schedule, such as `At 03:00 every day`."""
    text = CronSim(_shortened(cron), ANY_DAY).explain().replace(" through ", " to ")
    text = re.sub(r"\bon (\w+day to )", r"from \1", text)
    if not cron.needs_both_days:
        text = re.sub(r" and (on|from) (?=\w+day\b)", r" or \1 ", text)
    for pattern, words in SAID:
        text = pattern.sub(words, text)
    return re.sub(r"\b(\d+)th\b", lambda match: ordinal(int(match[1])), text)


def in_words(text: str) -> str:
    try:
        return describe(parse(text))
    except BadCron:
        return text


def _shortened(cron: Cron) -> str:
    """Return the shortest expression with the same meaning."""
    parts = cron.expression.split()
    fields = [_shortened_field(*field) for field in zip(FIELDS, parts, cron.values, strict=True)]
    minutes, hours, *_ = cron.values
    if len(minutes) * len(hours) <= MAX_DESCRIBED_TIMES:
        fields[:2] = parts[:2]
    if not cron.needs_both_days and "*" in (fields[2], fields[4]):
        fields[2] = fields[4] = "*"
    return " ".join(fields)


def _shortened_field(field: CronField, part: str, values: frozenset[int]) -> str:
    if len(values) == field.size:
        return "*"
    if part.startswith("*"):
        return part
    until_sunday = field.most == 7 and 6 in values
    return in_ranges({value or 7 for value in values} if until_sunday else values)


def _next_real_time(cron: Cron, zone: tzinfo, after: datetime, fold: int) -> datetime:
    """Find the first matching local time that exists and is later than `after`.

    If a local time occurs twice, `fold` selects the first (0) or the second (1). The search starts
    at the smaller offset of the day, because the clock may be set back within the day.
    """
    offset = min(_offset(zone, after), _offset(zone, after + DAY))
    for wall in CronSim(cron.expression, (after + offset).replace(tzinfo=None)):
        instant = _instant(wall, zone, fold)
        if instant > after and _wall(instant, zone) == wall:
            return instant
    raise BadCron(f"'{cron.text}' never fires.")


def _first_at_or_after(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first instant at which the local time is reached or was skipped by a gap."""
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
