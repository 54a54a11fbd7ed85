"""Keys for automation; for the organization's owners."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from vbase_console.core.errors import ConsoleError
from vbase_console.organizations import services
from vbase_console.organizations.filters import ApiKeyFilter
from vbase_console.organizations.forms import ApiKeyForm
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.scopes import ALL_SCOPES, MANAGE_ORGANIZATION, READING
from vbase_console.organizations.views.members import OWNERS_ONLY
from vbase_console.web.errors import ConfirmationRequired
from vbase_console.web.forms import FormPage
from vbase_console.web.lists import ListPage

TICKED = {"reading": [scope for scope in ALL_SCOPES if scope in READING], "all": list(ALL_SCOPES)}
"""What the form can begin with; without a wish with the least, which also a hurried reader may
issue.
"""


class SelectScopesView(ConfirmationRequired):
    """The form comes again with other boxes ticked; nobody has asked for the key yet."""


class ApiKeyListView(ListPage):
    scopes = {"GET": MANAGE_ORGANIZATION}
    template_name = "organizations/api_key_list.html"
    table_name = "organizations/partials/api_key_table.html"
    filter_class = ApiKeyFilter
    nav = "api-keys"

    def rows(self) -> QuerySet[Any]:
        keys: QuerySet[Any] = ApiKey.objects.visible_to(self.principal)
        return keys


class ApiKeyCreateView(FormPage):
    scopes = OWNERS_ONLY
    action = "IssueApiKey"
    nav = "api-keys"
    form_class = ApiKeyForm
    template_name = "organizations/api_key_form.html"

    def form_arguments(self) -> dict[str, Any]:
        asked = self.request.GET.get("scopes", "")
        return {"initial": {"scopes": TICKED.get(asked, TICKED["reading"])}}

    def prepare(self) -> None:
        if self.request.POST.get("tick") in TICKED:
            raise SelectScopesView
        super().prepare()

    def refused(self, error: ConsoleError) -> HttpResponseBase:
        if not isinstance(error, SelectScopesView):
            return super().refused(error)
        given = self.request.POST
        typed = {name: given.get(name) for name in ("name", "expires_at")}
        return self.page(form=ApiKeyForm(initial=typed | {"scopes": TICKED[given["tick"]]}))

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        """The answer is the page with the key itself: it is shown here and never again."""
        organization = Organization.objects.get(pk=self.principal.organization_id)
        key, text = services.issue_api_key(organization, created_by=self.principal.label, **given)
        self.object_id = key.prefix
        return self.page(form=None, key=key, text=text, origin=self.origin())

    def origin(self) -> str:
        return self.request.build_absolute_uri("/").rstrip("/")


class ApiKeyRevokeView(FormPage):
    scopes = OWNERS_ONLY
    action = "RevokeApiKey"
    nav = "api-keys"
    template_name = "organizations/api_key_revoke.html"

    @cached_property
    def key(self) -> ApiKey:
        found: ApiKey = ApiKey.objects.found(self.principal, prefix=self.kwargs["prefix"])
        return found

    def context(self) -> dict[str, Any]:
        return {"key": self.key, "back": reverse("api-key-list", args=self._organization)}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.revoke_api_key(self.key)
        messages.success(self.request, f"The key {self.key.name} opens nothing any more.")
        return redirect("api-key-list", *self._organization)

    @property
    def _organization(self) -> list[str]:
        return [self.principal.organization_name]
