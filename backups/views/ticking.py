"""All boxes of a form ticked, or none, without a script: what else was typed stays."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups.policy_forms import typed
from vbase_console.pages.editing import FormPage


class Ticking(FormPage):
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
