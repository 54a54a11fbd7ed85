"""Pages of lists whose rows are counted up to a limit."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MAX_PAGED_ROWS = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Pages of the first rows of a list. A longer list is neither counted nor paged to its end,
    because both would read it.
    """

    countable: QuerySet[Any] | None = None
    """The same rows without columns and order that only the shown ones need."""

    @cached_property
    def counted(self) -> int:
        """Number of rows, at most one more than are paged."""
        rows: Any = self.object_list if self.countable is None else self.countable
        return bounded_count(rows)

    @cached_property
    def count(self) -> int:
        return min(self.counted, MAX_PAGED_ROWS)

    @property
    def has_more_rows(self) -> bool:
        return self.counted > MAX_PAGED_ROWS


def bounded_count(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[: MAX_PAGED_ROWS + 1].count()
