"""Pages that list: filtered, sorted and paged on the server; htmx gets the table alone."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django import forms
from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vbase_console.pages.base import Page
from vbase_console.pages.requests import wants_fragment

PAGE_SIZE = 50
M = TypeVar("M", bound=Model)


class FilterForm(forms.Form):
    """What narrows a list; a field that cannot be understood says so and narrows nothing."""

    use_required_attribute = False

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows

    @property
    def given(self) -> dict[str, Any]:
        self.full_clean()
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}


class ListPage(Page):
    filter_class: ClassVar[type[FilterForm]] = FilterForm
    table_name: ClassVar[str]
    """The fragment that the page includes and later refreshes."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.narrowing = self.filter_class(request.GET)
        rows = Paginator(self.narrowing.narrow(self.rows()), PAGE_SIZE).get_page(
            request.GET.get("page")
        )
        shown = self.shown(rows) | {"rows": rows, "filter": self.narrowing}
        if wants_fragment(self.request):
            return self.fragment(self.table_name, **shown)
        return self.page(**shown)

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        """What the table needs beyond its rows."""
        return {}
