"""Pages of a list: `page` starts at 1, `pageSize` is 50 by default and 200 at most.

Generated clients send 0 for an omitted number, so 0 means the first page and the default size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers

from vbase_console.api.fields import QueryNumber
from vbase_console.api.serializers import ApiResponse, Input

M = TypeVar("M", bound=Model)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
PAGE_HELP = "Number of the page. 1 and 0 are the first page."
SIZE_HELP = f"Rows per page, at most {MAX_PAGE_SIZE}. 0 is {DEFAULT_PAGE_SIZE}."


class Paging(Input):
    page = QueryNumber(required=False, min_value=0, default=1, help_text=PAGE_HELP)
    page_size = QueryNumber(
        required=False,
        min_value=0,
        default=DEFAULT_PAGE_SIZE,
        help_text=SIZE_HELP,
    )


class PagedResponse(ApiResponse):
    total = serializers.IntegerField(help_text="Number of rows on all pages.")


def page_of(
    rows: QuerySet[M], asked: Mapping[str, Any], count: Callable[[], int] | None = None
) -> tuple[list[M], int]:
    page, total = slice_of(asked), count() if count else rows.count()
    # A page number may be larger than any offset that a database accepts.
    return (list(rows[page]) if page.start < total else []), total


def slice_of(asked: Mapping[str, Any]) -> slice:
    size = min(asked["page_size"] or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    offset = ((asked["page"] or 1) - 1) * size
    return slice(offset, offset + size)
