from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.generic import View

from vbase_console.core.client_address import source_of
from vbase_console.core.errors import ConsoleError, InvalidArgument
from vbase_console.organizations import services
from vbase_console.organizations.audit import Interface, record_account_action
from vbase_console.organizations.forms import OrganizationForm, OrganizationSettingsForm
from vbase_console.organizations.models import Organization, Outcome
from vbase_console.organizations.views.members import OWNERS_ONLY
from vbase_console.web.errors import refusal_page, status_of
from vbase_console.web.forms import FormPage, add_errors


class OrganizationSettingsView(FormPage):
    scopes = OWNERS_ONLY
    action = "UpdateOrganization"
    nav = "settings"
    form_class = OrganizationSettingsForm
    template_name = "organizations/organization_settings.html"

    @cached_property
    def organization(self) -> Organization:
        return Organization.objects.get(pk=self.principal.organization_id)

    def form_arguments(self) -> dict[str, Any]:
        names = ("name", "timezone")
        return {"initial": {name: getattr(self.organization, name) for name in names}}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        self.object_id = str(self.organization.pk)
        organization = services.update_organization(self.organization, **given)
        messages.success(self.request, "Settings saved.")
        return redirect("organization-settings", organization.name)


class OrganizationCreateView(LoginRequiredMixin, View):
    """Create an organization that the user then owns. Each attempt is audited in the organizations
    of the user.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            services.require_organization_creation(cast(User, request.user))
        except ConsoleError as error:
            return refusal_page(request, error)
        return self._page(OrganizationForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        user, form = cast(User, request.user), OrganizationForm(request.POST)
        try:
            services.require_organization_creation(user)
            if not form.is_valid():
                raise InvalidArgument
            with transaction.atomic():
                created = services.create_organization(name=form.cleaned_data["name"], owner=user)
                self._record(user, Outcome.ACCEPTED, created.name)
        except ConsoleError as error:
            self._record(user, Outcome.REFUSED, f"{error.code}: {error.message}")
            add_errors(form, error)
            return self._page(form, status=status_of(error))
        return redirect("overview", created.name)

    def _page(self, form: OrganizationForm, status: int = 200) -> HttpResponse:
        context = {"form": form, "focus_message": True}
        return render(
            self.request, "organizations/organization_create.html", context, status=status
        )

    def _record(self, user: User, outcome: Outcome, detail: str) -> None:
        record_account_action(
            user,
            action="CreateOrganization",
            source=source_of(self.request),
            interface=Interface.PAGES,
            outcome=outcome,
            detail=detail,
        )
