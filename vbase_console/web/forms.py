"""Pages with a form: a refusal comes back in the form, beside its field."""

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
    for name, texts in named.items():
        form.add_error(name if name in form.fields else None, list(texts))
    if not named:
        form.add_error(None, error.message)


def _label(form: forms.Form, name: str) -> str:
    return f"{form[name].label}: " if name in form.fields else ""


def _texts(form: forms.Form) -> dict[str, list[str]]:
    return {name: [str(text) for text in texts] for name, texts in form.errors.items()}


class SelectAllMixin(FormPage):
    """Stands before the page whose form it brings again; changes nothing."""

    changes = False

    @property
    def form_address(self) -> str:
        """Where the form itself stands: each has an address of another shape."""
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return redirect(self.form_address)

    def prepare(self) -> None:
        """Nothing is asked for."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        kept = typed(self.form_class, self.request.POST)
        del kept["collection_names"]
        ticked = self.request.POST.get("tick") != "none"
        about = self.form_arguments() | {"initial": kept, "ticked": ticked}
        return self.page(form=self.form_class(**about))


def typed(form_class: type[forms.Form], data: QueryDict) -> dict[str, Any]:
    """What stands in the fields, as it was typed: a form that is shown again loses nothing."""
    fields = form_class.base_fields.items()
    return {
        name: field.widget.value_from_datadict(data, MultiValueDict(), name)
        for name, field in fields
    }
