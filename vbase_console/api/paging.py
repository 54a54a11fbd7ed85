"""Pages of a list: `page` from 1, `pageSize` 50 unless asked otherwise and never above 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers

from vbase_console.api.serializers import Answer, Input

M = TypeVar("M", bound=Model)

DEFAULT_SIZE = 50
LARGEST_SIZE = 200


class Paging(Input):
    page = serializers.IntegerField(
        required=False, min_value=1, default=1, help_text="The first page is 1."
    )
    page_size = serializers.IntegerField(
        required=False,
        min_value=1,
        default=DEFAULT_SIZE,
        help_text=f"More than {LARGEST_SIZE} gives {LARGEST_SIZE}.",
    )


class PagedAnswer(Answer):
    total = serializers.IntegerField(help_text="How many there are on all pages.")


def page_of(rows: QuerySet[M], asked: Mapping[str, Any]) -> tuple[list[M], int]:
    """The rows of one page, and how many there are on all of them."""
    size = min(asked["page_size"], LARGEST_SIZE)
    offset = (asked["page"] - 1) * size
    total = rows.count()
    # No database counts as far as a page number may be long.
    return (list(rows[offset : offset + size]) if offset < total else []), total
