"""Pages with a form: what was refused comes back in the form, beside what was typed."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vbase_console.errors import ConsoleError, InvalidArgument, NotFound, PermissionDenied
from vbase_console.pages.base import Page
from vbase_console.pages.errors import status_of


class FormPage(Page):
    """GET shows the form, POST does what it says; a refusal shows the form again with the reason.

    Without a `form_class` of its own it asks for a confirmation.
    """

    form_class: ClassVar[type[forms.Form]] = forms.Form
    bound: forms.Form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(form=self.form_class(**self.form_arguments()))

    def prepare(self) -> None:
        self.bound = self.form_class(self.request.POST, **self.form_arguments())
        if not self.bound.is_valid():
            raise InvalidArgument(field_errors=_texts(self.bound))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.perform(self.bound.cleaned_data)

    def form_arguments(self) -> dict[str, Any]:
        return {}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        """Call one service and answer with where to go next."""
        raise NotImplementedError

    def in_history(self, error: ConsoleError) -> str:
        """Fields as the page calls them: nobody knows them by their names in the program."""
        if not isinstance(error, InvalidArgument) or not error.field_errors:
            return super().in_history(error)
        return " ".join(
            f"{_label(self.bound, name)}{' '.join(texts)}"
            for name, texts in error.field_errors.items()
        )

    def refused(self, error: ConsoleError) -> HttpResponseBase:
        if isinstance(error, NotFound | PermissionDenied) or not hasattr(self, "bound"):
            return super().refused(error)
        show_refusal(self.bound, error)
        return self.page(form=self.bound, status=status_of(error))


def show_refusal(form: forms.Form, error: ConsoleError) -> None:
    """Put a service's refusal where the person can mend it: at the fields that it names."""
    if form.errors:
        return
    named = error.field_errors if isinstance(error, InvalidArgument) else {}
    for wire_name, texts in named.items():
        name = _name(wire_name)
        form.add_error(name if name in form.fields else None, list(texts))
    if not named:
        form.add_error(None, error.message)


def _name(wire_name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", wire_name).lower()


def _label(form: forms.Form, name: str) -> str:
    field = _name(name)
    return f"{form[field].label}: " if field in form.fields else ""


def _texts(form: forms.Form) -> dict[str, list[str]]:
    return {name: [str(text) for text in texts] for name, texts in form.errors.items()}
