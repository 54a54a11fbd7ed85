"""One field of a cron expression: what it matches, or what is wrong with it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from itertools import groupby

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
    """Of its values, from `first_name` on."""
    first_name: int = 0

    @property
    def size(self) -> int:
        """How many values there are; 0 and 7 are one Sunday."""
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
