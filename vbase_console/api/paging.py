"""Pages of a list: `page` from 1, `pageSize` 50 unless asked otherwise and never above 200.

0 is what a client sends that knows only numbers and means none: the first page, the usual size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers

from vbase_console.api.serializers import ApiResponse, Input

M = TypeVar("M", bound=Model)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
PAGE_HELP = "The first page is 1, also called 0."
SIZE_HELP = f"More than {MAX_PAGE_SIZE} gives {MAX_PAGE_SIZE}; 0 gives {DEFAULT_PAGE_SIZE}."


class Paging(Input):
    page = serializers.IntegerField(required=False, min_value=0, default=1, help_text=PAGE_HELP)
    page_size = serializers.IntegerField(
        required=False,
        min_value=0,
        default=DEFAULT_PAGE_SIZE,
        help_text=SIZE_HELP,
    )


class PagedResponse(ApiResponse):
    total = serializers.IntegerField(help_text="How many there are on all pages.")


def page_of(rows: QuerySet[M], asked: Mapping[str, Any]) -> tuple[list[M], int]:
    """The rows of one page, and how many there are on all of them."""
    size = min(asked["page_size"] or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    offset = ((asked["page"] or 1) - 1) * size
    total = rows.count()
    # No database counts as far as a page number may be long.
    return (list(rows[offset : offset + size]) if offset < total else []), total
