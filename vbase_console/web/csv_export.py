"""Streamed CSV of a list, with cells that no spreadsheet executes.

An export holds a thread of the web process until its client has read it. It therefore needs a
slot, ends after a limited time, and keeps no statement open while the client reads.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import StreamingHttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.text import slugify

from vbase_console.core.errors import ResourceExhausted
from vbase_console.core.streams import return_stream, take_stream

logger = logging.getLogger(__name__)

PAGE_ROWS = 500
EXPORT_SECONDS = 120.0
"""Limit of one export. Its connection is cut then, so that the file is not taken for complete."""
MAX_PER_OWNER = 2
MAX_PER_PROCESS = 4
OPERATORS = "=+@\uff1d\uff0b\uff0d\uff20\\-"
FORMULA = re.compile(rf"(?:^|(?<=[;|\t\r\n]))(?=(?:[^\S\t\r\n]|[\ufeff\u200b])*[{OPERATORS}])")


class ExportTooSlow(Exception):
    """The export has reached its time limit. The connection is cut."""


class ExportSlots:
    """Exports in progress in this process, counted for each owner: an organization or a user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, owner: str) -> None:
        """Raises ResourceExhausted without a free slot."""
        with self._lock:
            is_full = self._taken[owner] >= MAX_PER_OWNER or self._taken.total() >= MAX_PER_PROCESS
            if is_full or not take_stream():
                raise ResourceExhausted(
                    "Too many exports are in progress. Try again when one of them has ended."
                )
            self._taken[owner] += 1

    def give_back(self, owner: str) -> None:
        with self._lock:
            return_stream()
            self._taken[owner] -= 1
            self._taken += Counter()  # forget owners without an export


slots = ExportSlots()


class _Line:
    """File for `csv.writer` that returns each line instead of storing it."""

    def write(self, line: str) -> str:
        return line


class Export:
    """Lines of one export. `close` returns its slot, also if no line was read."""

    def __init__(self, owner: str, lines: Iterator[str]) -> None:
        slots.take(owner)
        self._owner, self._lines = owner, lines
        self._deadline = time.monotonic() + EXPORT_SECONDS
        self._is_open = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if time.monotonic() > self._deadline:
            logger.warning("%s: export cut after %d s", self._owner, EXPORT_SECONDS)
            self.close()
            raise ExportTooSlow(f"The export of {self._owner} took longer than {EXPORT_SECONDS} s.")
        return next(self._lines)

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        slots.give_back(self._owner)


def csv_response(
    owner: str, name: str, headings: Iterable[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """Stream rows as a file. Memory does not grow with their number. Raises ResourceExhausted if
    the owner has too many exports in progress.
    """
    export = Export(owner, _lines(headings, rows))
    response = StreamingHttpResponse(export, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name) or "list"}.csv"'
    add_never_cache_headers(response)
    return response


def values_of(rows: QuerySet[Any], lookups: Sequence[str]) -> Iterator[Sequence[object]]:
    """Read the values of all rows in pages, each with its own statement, which begins behind the
    last row of the page before. The order of the rows must be total.
    """
    order = _order_of(rows)
    columns = list(dict.fromkeys([*lookups, *order]))
    page = list(rows.values_list(*columns)[:PAGE_ROWS])
    while page:
        value_of: dict[str, Any] = {}
        for values in page:
            value_of = dict(zip(columns, values, strict=True))
            yield [value_of[lookup] for lookup in lookups]
        if len(page) < PAGE_ROWS:
            return
        behind = _behind(order, value_of)
        page = list(rows.filter(behind).values_list(*columns)[:PAGE_ROWS])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Order:
    """Direction of one sorted column. NULL is behind all values unless it is first."""

    descends: bool
    has_nulls_first: bool = False


def _order_of(rows: QuerySet[Any]) -> dict[str, _Order]:
    """Return the names by which rows are sorted, each with its direction."""
    order: dict[str, _Order] = {}
    for column in rows.query.order_by:
        if isinstance(column, OrderBy):
            field: Any = column.expression
            has_nulls_first = bool(column.nulls_first)
            given = _Order(descends=column.descending, has_nulls_first=has_nulls_first)
            order.setdefault(field.name, given)
        else:
            name = str(column)
            order.setdefault(name.removeprefix("-"), _Order(descends=name.startswith("-")))
    return order


def _behind(order: dict[str, _Order], value_of: dict[str, Any]) -> Q:
    """Match rows behind the one with these values."""
    equal, found = Q(), Q(pk__in=[])
    for name, each in order.items():
        value, is_null = value_of[name], Q((f"{name}__isnull", True))
        if value is not None:
            further = Q((f"{name}__lt" if each.descends else f"{name}__gt", value))
            found |= equal & (further if each.has_nulls_first else further | is_null)
        elif each.has_nulls_first:
            found |= equal & ~is_null
        equal &= is_null if value is None else Q((name, value))
    return found


def cell(value: object) -> object:
    """Convert a value. Text that a spreadsheet would execute as a formula gets an apostrophe,
    also behind a character by which some spreadsheets separate cells.
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return value
        case datetime():
            return value.isoformat()
        case dict() | list():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = str(value)
    defused = FORMULA.sub("'", text)
    return f"'{defused}" if text.startswith(("\t", "\r", "\n")) else defused


def _lines(headings: Iterable[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(headings)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])
