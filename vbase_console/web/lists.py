"""List pages, filtered, sorted and paged on the server. htmx requests get the table only."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import reduce
from typing import Any, ClassVar, TypeVar

from django import forms
from django.core.paginator import Page as Rows
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vbase_console.core import paginators
from vbase_console.web.csv_export import csv_response, values_of
from vbase_console.web.views import Page, wants_fragment

PAGE_SIZE = 50
ANY_CHOICE = [("", "Any")]
EARLIEST_DAY, LATEST_DAY = date(2000, 1, 1), date(2999, 12, 31)
"""Limits of a day, so that it exists in every time zone."""
M = TypeVar("M", bound=Model)


def day_field(label: str | None = None) -> forms.DateField:
    """Return a filter for one day."""
    return forms.DateField(
        label=label,
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        validators=[MinValueValidator(EARLIEST_DAY), MaxValueValidator(LATEST_DAY)],
    )


class FilterForm(forms.Form):
    """Filter and sort order of a list. Invalid values show an error and are ignored."""

    use_required_attribute = False
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    SEARCH_LOOKUPS: ClassVar[tuple[str, ...]] = ()
    """Lookups for the text `q`, combined with OR."""
    SORT_FIELDS: ClassVar[tuple[str, ...]] = ()
    """Fields by which the table headings sort, in both directions."""
    DEFAULT_ORDER: ClassVar[str] = "-created_at"
    TIE_BREAKERS: ClassVar[tuple[str | OrderBy, ...]] = ("-pk",)
    """Secondary order, so that no row is repeated or lost between pages."""
    NULLS_LAST: ClassVar[frozenset[str]] = frozenset()
    """Nullable sort fields. Rows without a value are last in both directions, on every database."""
    INDEXED_ORDERS: ClassVar[frozenset[str]] = frozenset()
    """Orders that an index serves, for a list that grows with the history. Such a list, if it is
    long after the other filters, sorts by these alone and searches by an index. Empty: the list
    stays short.
    """
    LONG_SEARCH: ClassVar[str] = ""
    """Sentence about what the text finds in a long list."""
    found: QuerySet[Any]
    """Rows that match, before `named`."""
    length: int | None = None
    """Number of rows after the other filters, counted up to the limit of a list."""

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Filter, search and sort. Looks at the length of the list if that makes a difference."""
        filtered = self.filter_rows(rows)
        is_costly = bool(self.text("q")) or self.order not in self.INDEXED_ORDERS
        if self.INDEXED_ORDERS and is_costly:
            self.length = paginators.bounded_count(filtered)
        self.found = self.search_long(filtered) if self.is_long else self.search_rows(filtered)
        return self.named(self.found).order_by(self.ordering(), *self.TIE_BREAKERS)

    @property
    def is_long(self) -> bool:
        return self.length is not None and self.length > paginators.MAX_PAGED_ROWS

    @property
    def limits(self) -> list[str]:
        """Sentences about what a long list does not do, with the remedy."""
        if not self.is_long:
            return []
        length = f"The list has more than {paginators.MAX_PAGED_ROWS:,} rows."
        remedy = "Set another filter to search and sort it freely."
        text = [self.LONG_SEARCH] if self.text("q") else []
        unsorted = self.requested_order not in self.INDEXED_ORDERS
        order = ["It cannot be sorted by this column."] if unsorted else []
        return [length, *text, *order, remedy]

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the fields other than `q`."""
        return rows

    def search_long(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Search a long list for the text `q` by an index, if one is given."""
        return rows

    def named(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Add the columns that only the order and the export need."""
        return rows

    def search_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        text = self.text("q")
        conditions = [Q((lookup, text)) for lookup in self.SEARCH_LOOKUPS]
        return rows.filter(reduce(operator.or_, conditions)) if text else rows

    def ordering(self) -> str | OrderBy:
        name = self.order.removeprefix("-")
        if name not in self.NULLS_LAST:
            return self.order
        field, descending = F(name), self.order.startswith("-")
        return field.desc(nulls_last=True) if descending else field.asc(nulls_last=True)

    @property
    def order(self) -> str:
        is_served = not self.is_long or self.requested_order in self.INDEXED_ORDERS
        return self.requested_order if is_served else self.DEFAULT_ORDER

    @property
    def requested_order(self) -> str:
        order = str(self._cleaned.get("sort", ""))
        return order if order.removeprefix("-") in self.SORT_FIELDS else self.DEFAULT_ORDER

    @property
    def given(self) -> dict[str, Any]:
        """Values that filter the list, without its order."""
        return {name: value for name, value in self._cleaned.items() if name != "sort"}

    def text(self, name: str) -> str:
        return str(self._cleaned.get(name, "")).strip()

    @property
    def _cleaned(self) -> dict[str, Any]:
        self.is_valid()  # fills cleaned_data
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}


def page_of(filter_form: FilterForm, rows: QuerySet[Any], request: HttpRequest) -> Rows[Any]:
    paginator = paginators.BoundedPaginator(filter_form.narrow(rows), PAGE_SIZE)
    paginator.countable = filter_form.found
    if filter_form.length is not None and not filter_form.text("q"):
        paginator.counted = filter_form.length
    return paginator.get_page(request.GET.get("page"))


class ListPage(Page):
    filter_class: ClassVar[type[FilterForm]] = FilterForm
    table_name: ClassVar[str]
    """Template of the table, included by the page and re-rendered by htmx."""
    csv_columns: ClassVar[Mapping[str, str]] = {}
    """Heading → lookup of the CSV export. Empty: the list is not exported."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.filter_form = self.filter_class(request.GET)
        if self.csv_columns and request.GET.get("export") == "csv":
            title = f"{self.principal.organization_name} {self.nav}"
            values = self.csv_rows(self.filter_form.narrow(self.rows()))
            return csv_response(self.principal.organization_name, title, self.csv_columns, values)
        rows = page_of(self.filter_form, self.rows(), request)
        context = self.table_context(rows) | {"rows": rows, "filter": self.filter_form}
        context["can_export"] = bool(self.csv_columns)
        if wants_fragment(self.request):
            return self.fragment(self.table_name, **context)
        return self.page(**context)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[Sequence[object]]:
        return values_of(rows, list(self.csv_columns.values()))

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {}
