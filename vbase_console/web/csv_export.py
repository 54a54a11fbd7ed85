"""Streamed CSV of a list, with cells that no spreadsheet executes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils.text import slugify

BATCH_SIZE = 500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class _Line:
    """File for `csv.writer` that returns each line instead of storing it."""

    def write(self, line: str) -> str:
        return line


def csv_response(
    name: str, headings: Iterable[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """Stream rows as a file. Memory does not grow with their number."""
    response = StreamingHttpResponse(_lines(headings, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name) or "list"}.csv"'
    return response


def values_of(rows: QuerySet[Any], lookups: Iterable[str]) -> Iterator[Sequence[object]]:
    """Read the values of all rows in batches."""
    return iter(rows.values_list(*lookups).iterator(chunk_size=BATCH_SIZE))


def cell(value: object) -> object:
    """Convert a value. Text that a spreadsheet would execute as a formula gets an apostrophe."""
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
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _lines(headings: Iterable[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(headings)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])
