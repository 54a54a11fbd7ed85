"""Pages with a form. Errors are shown in the form, next to their fields."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.datastructures import MultiValueDict

from vbase_console.core.errors import ConsoleError, InvalidArgument, NotFound, PermissionDenied
from vbase_console.web.errors import status_of
from vbase_console.web.views import Page
from vbase_console.web.wording import readable


class FormPage(Page):
    """GET renders the form, POST performs the action. An error re-renders the form with its reason.

    Without its own `form_class` the page asks for a confirmation.
    """

    form_class: ClassVar[type[forms.Form]] = forms.Form
    bound: forms.Form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(form=self.form_class(**self.form_arguments()))

    def prepare(self) -> None:
        self.bound = self.form_class(self.request.POST, **self.form_arguments())
        if not self.bound.is_valid():
            raise InvalidArgument(
                field_errors={
                    name: [str(text) for text in texts] for name, texts in self.bound.errors.items()
                }
            )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.perform(self.bound.cleaned_data)

    def form_arguments(self) -> dict[str, Any]:
        return {}

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        """Call one service and return the response."""
        raise NotImplementedError

    def audit_detail(self, error: ConsoleError) -> str:
        if not isinstance(error, InvalidArgument) or not error.field_errors:
            return super().audit_detail(error)
        parts = []
        for name, texts in error.field_errors.items():
            parts += [f"{self.bound[name].label}:"] if name in self.bound.fields else []
            parts += texts
        return " ".join(parts)

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        if isinstance(error, NotFound | PermissionDenied) or not hasattr(self, "bound"):
            return super().error_response(error)
        add_errors(self.bound, error)
        return self.refused_page(self.bound, error)

    def refused_page(self, form: forms.Form | None, error: ConsoleError) -> HttpResponseBase:
        """Re-render a form with its errors. The focus goes to the message, or to the first field
        with an error.
        """
        is_message = form is None or bool(form.non_field_errors())
        if form is not None and not is_message:
            wrong = next((field for field in form.visible_fields() if field.errors), None)
            if wrong is not None:
                wrong.field.widget.attrs["autofocus"] = True
        return self.page(form=form, status=status_of(error), focus_message=is_message)


def add_errors(form: forms.Form, error: ConsoleError) -> None:
    """Add a service's error to the fields that it names, or to the form."""
    if form.errors:
        return
    field_errors = error.field_errors if isinstance(error, InvalidArgument) else {}
    for name, texts in field_errors.items():
        form.add_error(name if name in form.fields else None, list(map(readable, texts)))
    if not field_errors:
        form.add_error(None, error.message)


class SelectAllMixin(FormPage):
    """Select or clear all checkboxes without JavaScript, keeping the other form input."""

    changes = False

    @property
    def form_address(self) -> str:
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return redirect(self.form_address)

    def prepare(self) -> None:
        """Skip the validation of the form."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        initial = raw_values(self.form_class, self.request.POST)
        del initial["collection_names"]
        ticked = "none" if self.request.POST.get("tick") == "none" else "all"
        arguments = self.form_arguments() | {"initial": initial, "ticked": ticked == "all"}
        return self.page(form=self.form_class(**arguments), ticked=ticked)


def raw_values(form_class: type[forms.Form], data: QueryDict) -> dict[str, Any]:
    """Return the submitted values as typed, without validation."""
    fields = form_class.base_fields.items()
    return {
        name: field.widget.value_from_datadict(data, MultiValueDict(), name)
        for name, field in fields
    }
