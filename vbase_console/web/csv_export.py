"""Streamed CSV of a list, with cells that no spreadsheet executes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
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
    name: str, columns: Mapping[str, str], rows: QuerySet[Any]
) -> StreamingHttpResponse:
    """Stream all rows. `columns`: heading → lookup. Memory does not grow with the rows."""
    response = StreamingHttpResponse(_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name) or "list"}.csv"'
    return response


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


def _lines(columns: Mapping[str, str], rows: QuerySet[Any]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows.values_list(*columns.values()).iterator(chunk_size=BATCH_SIZE):
        yield writer.writerow([cell(value) for value in row])
