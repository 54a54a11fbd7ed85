"""Pages that list: filtered, sorted and paged on the server; htmx gets the table alone."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any, ClassVar, TypeVar

from django import forms
from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vbase_console.web.views import Page, wants_fragment

PAGE_SIZE = 50
ANY_CHOICE = [("", "Any")]
M = TypeVar("M", bound=Model)


class FilterForm(forms.Form):
    """What narrows and sorts a list; a field that cannot be understood says so and narrows nothing.

    A list says what a `q` is looked for in, what it can be sorted by, and how it stands unasked.
    """

    use_required_attribute = False
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    SEARCHED: ClassVar[tuple[str, ...]] = ()
    """Where the text `q` may stand: lookups, any of which is enough."""
    SORTS: ClassVar[tuple[str, ...]] = ()
    """What the heads of the table sort by, either way."""
    FIRST: ClassVar[str] = "-created_at"
    """The order unless asked otherwise."""
    TIES: ClassVar[tuple[str | OrderBy, ...]] = ("-pk",)
    """What decides among equals, so that pages neither repeat nor lose a row."""
    ABSENT_LAST: ClassVar[frozenset[str]] = frozenset()
    """Sorts by what a row may lack: those that do stand last, whichever way, on every database."""

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return self.searched(self.chosen(rows)).order_by(self.ordering(), *self.TIES)

    def chosen(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """By the fields beside `q`."""
        return rows

    def searched(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        text = self.text("q")
        places = [Q((lookup, text)) for lookup in self.SEARCHED]
        return rows.filter(reduce(operator.or_, places)) if text else rows

    def ordering(self) -> str | OrderBy:
        name = self.order.removeprefix("-")
        if name not in self.ABSENT_LAST:
            return self.order
        field, descending = F(name), self.order.startswith("-")
        return field.desc(nulls_last=True) if descending else field.asc(nulls_last=True)

    @property
    def order(self) -> str:
        asked = str(self._cleaned.get("sort", ""))
        return asked if asked.removeprefix("-") in self.SORTS else self.FIRST

    @property
    def given(self) -> dict[str, Any]:
        """What narrows the list; its order does not."""
        return {name: value for name, value in self._cleaned.items() if name != "sort"}

    def text(self, name: str) -> str:
        return str(self._cleaned.get(name, "")).strip()

    @property
    def _cleaned(self) -> dict[str, Any]:
        self.is_valid()  # cleans, once
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}


def page_of(narrowing: FilterForm, rows: QuerySet[Any], request: HttpRequest) -> Rows[Any]:
    return Paginator(narrowing.narrow(rows), PAGE_SIZE).get_page(request.GET.get("page"))


class ListPage(Page):
    filter_class: ClassVar[type[FilterForm]] = FilterForm
    table_name: ClassVar[str]
    """The fragment that the page includes and later refreshes."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.narrowing = self.filter_class(request.GET)
        rows = page_of(self.narrowing, self.rows(), request)
        shown = self.shown(rows) | {"rows": rows, "filter": self.narrowing}
        if wants_fragment(self.request):
            return self.fragment(self.table_name, **shown)
        return self.page(**shown)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        """What the table needs beyond its rows."""
        return {}
