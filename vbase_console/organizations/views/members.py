from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from vbase_console.core.errors import FailedPrecondition
from vbase_console.organizations import services
from vbase_console.organizations.filters import MembershipFilter
from vbase_console.organizations.forms import MemberForm, RoleForm
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import MANAGE_ORGANIZATION
from vbase_console.web.forms import FormPage
from vbase_console.web.lists import ListPage

OWNERS_ONLY = {"GET": MANAGE_ORGANIZATION, "POST": MANAGE_ORGANIZATION}


class MembershipListView(ListPage):
    scopes = {"GET": MANAGE_ORGANIZATION}
    template_name = "organizations/membership_list.html"
    table_name = "organizations/partials/membership_table.html"
    filter_class = MembershipFilter
    nav = "members"
    csv_columns = {"E-mail": "user__username", "Role": "role"}

    def rows(self) -> QuerySet[Any]:
        return Membership.objects.visible_to(self.principal).select_related("user")


class MembershipPage(FormPage):
    scopes = OWNERS_ONLY
    nav = "members"

    def prepare(self) -> None:
        """Record the e-mail in the audit entry, because the membership may be deleted."""
        self.object_id = self.membership.user.get_username()
        super().prepare()

    @cached_property
    def membership(self) -> Membership:
        memberships = Membership.objects.select_related("user")
        return memberships.get_visible(self.principal, pk=self.kwargs["membership_id"])

    def context(self) -> dict[str, Any]:
        back = reverse("membership-list", args=[self.principal.organization_name])
        return {"membership": self.membership, "back": back}

    def redirect_with_message(self, text: str) -> HttpResponseBase:
        messages.success(self.request, text)
        return redirect("membership-list", organization=self.principal.organization_name)


class MembershipCreateView(FormPage):
    scopes = OWNERS_ONLY
    action = "AddMember"
    nav = "members"
    form_class = MemberForm
    template_name = "organizations/membership_form.html"

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        organization = Organization.objects.get(pk=self.principal.organization_id)
        self.object_id = cleaned_data["email"].strip().lower()
        user = services.get_or_create_user(email=cleaned_data["email"])
        services.add_member(organization, user=user, role=cleaned_data["role"])
        if services.invitation_obstacle(user):
            messages.success(
                self.request, f"{user} added. This person signs in with the existing password."
            )
            return redirect("membership-list", organization=self.principal.organization_name)
        return self.page(form=None, invited=user, link=invitation_link(self.request, user))


class MembershipInviteView(MembershipPage):
    """Create a new invitation link for a member without a password, or show why none is allowed."""

    action = "InviteMember"
    template_name = "organizations/membership_invite.html"

    def context(self) -> dict[str, Any]:
        return super().context() | {"no_link": services.invitation_obstacle(self.membership.user)}

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        user = self.membership.user
        if reason := services.invitation_obstacle(user):
            raise FailedPrecondition(reason)
        return self.page(form=None, invited=user, link=invitation_link(self.request, user))


class MembershipRoleView(MembershipPage):
    action = "ChangeRole"
    form_class = RoleForm
    template_name = "organizations/membership_role.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"initial": {"role": self.membership.role}}

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        services.change_role(self.membership, role=cleaned_data["role"])
        return self.redirect_with_message(
            f"{self.membership.user} now has the role {cleaned_data['role']}."
        )


class MembershipRemoveView(MembershipPage):
    action = "RemoveMember"
    template_name = "organizations/membership_remove.html"

    def perform(self, cleaned_data: dict[str, Any]) -> HttpResponseBase:
        services.remove_member(self.membership)
        return self.redirect_with_message(f"{self.membership.user} removed.")


def invitation_link(request: Any, user: User) -> str:
    """Return a link that sets the password of a new account. It works once, for three days."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    address = reverse("password-set", args=[key, default_token_generator.make_token(user)])
    return str(request.build_absolute_uri(address))
