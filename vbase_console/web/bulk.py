"""One confirmation for an action on several rows of a list."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from vbase_console.core.errors import ConsoleError, FailedPrecondition
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.tenancy import is_storable
from vbase_console.web.forms import FormPage

MAX_SELECTED = 200
MAX_REASONS = 5


class BulkPage(FormPage):
    """GET confirms the rows that a list has selected. POST serves each by the service of its own
    button and writes an audit entry for each. A refused row does not stop the others.
    """

    records_each_object = True
    template_name = "web/bulk_confirm.html"
    title: ClassVar[str]
    """Verb of the action, such as Verify."""
    noun: ClassVar[str]
    """Noun of a row, such as backup."""
    says: ClassVar[str]
    """Effect of the action."""
    list_page: ClassVar[str]
    next_page: ClassVar[str]
    """Page that shows the result of the action."""
    is_destructive: ClassVar[bool] = False

    @property
    def lost(self) -> list[str]:
        """Losses of a destructive action."""
        return []

    @property
    def kept(self) -> list[str]:
        return []

    def rows(self, ids: list[str]) -> list[Any]:
        """Return the visible rows with these ids, always in the same order, so that two requests
        cannot wait for each other's locks.
        """
        raise NotImplementedError

    def act(self, row: Any) -> str:
        """Call the service for one row. Returns the id of the accepted task."""
        raise NotImplementedError

    def key_of(self, row: Any) -> str:
        """Return the value that selects the row."""
        return str(row.pk)

    def name_of(self, row: Any) -> str:
        return str(row)

    @cached_property
    def selected(self) -> list[Any]:
        query = self.request.POST if self.request.method == "POST" else self.request.GET
        return self.rows(list(filter(is_storable, query.getlist("id")[:MAX_SELECTED])))

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.selected:
            messages.error(request, f"Select at least one {self.noun}.")
            return redirect(self.list_page, self.principal.organization_name)
        return super().get(request, *args, **kwargs)

    def context(self) -> dict[str, Any]:
        return {
            "selected": [(self.key_of(row), self.name_of(row)) for row in self.selected],
            "does": self.title,
            "noun": self.noun,
            "says": self.says,
            "lost": self.lost,
            "kept": self.kept,
            "is_destructive": self.is_destructive,
            "list_page": self.list_page,
        }

    def prepare(self) -> None:
        if not self.selected:
            raise FailedPrecondition(f"Select at least one {self.noun}.")
        super().prepare()

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        reasons = []
        for row in self.selected:
            name = self.name_of(row)
            try:
                with transaction.atomic():
                    operation_id = self.act(row)
            except ConsoleError as error:
                self.record(self.action, name, Outcome.REFUSED, f"{error.code}: {error.message}")
                reason = self.name_objects(error.message)
                reasons.append(reason if reason.startswith(name) else f"{name}: {reason}")
            else:
                self.record(self.action, name, detail=operation_id)
        accepted = len(self.selected) - len(reasons)
        if accepted:
            plural = "" if accepted == 1 else "s"
            messages.success(self.request, f"{self.title}: {accepted} {self.noun}{plural}.")
        for reason in reasons[:MAX_REASONS]:
            messages.error(self.request, reason)
        if len(reasons) > MAX_REASONS:
            messages.error(self.request, f"{len(reasons) - MAX_REASONS} more were refused.")
        return redirect(self.next_page, self.principal.organization_name)
