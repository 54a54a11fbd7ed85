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
from vbase_console.organizations.scopes import ALL_SCOPES, MANAGE_ORGANIZATION, SCOPE_PRESETS
from vbase_console.organizations.views.members import OWNERS_ONLY
from vbase_console.web.errors import ConfirmationRequired
from vbase_console.web.forms import FormPage
from vbase_console.web.lists import ListPage


class SelectScopesView(ConfirmationRequired):
    """The form is re-rendered with another scope preset. No key is issued."""


class ApiKeyListView(ListPage):
    scopes = {"GET": MANAGE_ORGANIZATION}
    template_name = "organizations/api_key_list.html"
    table_name = "organizations/partials/api_key_table.html"
    filter_class = ApiKeyFilter
    nav = "api-keys"
    csv_columns = {
        "Name": "name",
        "Prefix": "prefix",
        "Scopes": "scopes",
        "Revoked": "revoked",
        "Expires": "expiry_date",
        "Created by": "created_by",
        "Created": "created",
    }

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
        preset = self.request.GET.get("scopes", "")
        return {"initial": {"scopes": _scopes_of(preset)}}

    def context(self) -> dict[str, Any]:
        return {"presets": [(key, label) for key, (label, _) in SCOPE_PRESETS.items()]}

    def prepare(self) -> None:
        if self.request.POST.get("tick") in SCOPE_PRESETS:
            raise SelectScopesView
        super().prepare()

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        if not isinstance(error, SelectScopesView):
            return super().error_response(error)
        data = self.request.POST
        initial: dict[str, Any] = {name: data.get(name) for name in ("name", "expires_at")}
        initial["scopes"] = _scopes_of(data["tick"])
        return self.page(form=ApiKeyForm(initial=initial), ticked=data["tick"])

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        """Render the page with the key itself, which is shown only once."""
        organization = Organization.objects.get(pk=self.principal.organization_id)
        key, text = services.issue_api_key(
            organization, created_by=self.principal.label, **cleaned_data
        )
        self.object_id = key.prefix
        origin = self.request.build_absolute_uri("/").rstrip("/")
        return self.page(form=None, key=key, text=text, origin=origin)


class ApiKeyRevokeView(FormPage):
    scopes = OWNERS_ONLY
    action = "RevokeApiKey"
    nav = "api-keys"
    template_name = "organizations/api_key_revoke.html"

    @cached_property
    def key(self) -> ApiKey:
        key: ApiKey = ApiKey.objects.get_visible(self.principal, prefix=self.kwargs["prefix"])
        return key

    def context(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "back": reverse("api-key-list", args=[self.principal.organization_name]),
        }

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        services.revoke_api_key(self.key)
        messages.success(self.request, f"API key {self.key.name} revoked.")
        return redirect("api-key-list", self.principal.organization_name)


def _scopes_of(preset: str) -> list[str]:
    _, scopes = SCOPE_PRESETS.get(preset, SCOPE_PRESETS["reading"])
    return [scope for scope in ALL_SCOPES if scope in scopes]
