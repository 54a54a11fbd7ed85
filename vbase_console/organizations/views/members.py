"""Who belongs to an organization, and what they may; for its owners."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

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

    def rows(self) -> QuerySet[Any]:
        return Membership.objects.visible_to(self.principal).select_related("user")


class MembershipPage(FormPage):
    """One member, and one thing to do about it."""

    scopes = OWNERS_ONLY
    nav = "members"
    template_name: ClassVar[str] = "confirm.html"

    def prepare(self) -> None:
        """History knows people by their address: the number of a membership ends with it."""
        self.object_id = self.membership.user.get_username()
        super().prepare()

    @cached_property
    def membership(self) -> Membership:
        key = self.kwargs["membership_id"]
        return Membership.objects.select_related("user").found(self.principal, pk=key)

    def context(self) -> dict[str, Any]:
        back = reverse("membership-list", args=[self.principal.organization_name])
        return {"membership": self.membership, "back": back}

    def done(self, text: str) -> HttpResponseBase:
        messages.success(self.request, text)
        return redirect("membership-list", organization=self.principal.organization_name)


class MembershipCreateView(FormPage):
    scopes = OWNERS_ONLY
    action = "AddMember"
    nav = "members"
    form_class = MemberForm
    template_name = "organizations/membership_form.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        organization = Organization.objects.get(pk=self.principal.organization_id)
        self.object_id = given["email"].strip().lower()
        user = services.person(email=given["email"])
        services.add_member(organization, user=user, role=given["role"])
        if services.why_no_link(user):
            messages.success(self.request, f"{user} is a member now, and signs in as before.")
            return redirect("membership-list", organization=self.principal.organization_name)
        return self.invited(user)

    def invited(self, user: User) -> HttpResponseBase:
        return self.page(form=None, invited=user, link=invitation_link(self.request, user))


class MembershipInviteView(MembershipPage):
    """Another link for somebody without a password; for others, why there is none."""

    action = "InviteMember"
    template_name = "organizations/membership_invite.html"

    def context(self) -> dict[str, Any]:
        return super().context() | {"no_link": services.why_no_link(self.membership.user)}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        user = self.membership.user
        if reason := services.why_no_link(user):
            raise FailedPrecondition(reason)
        return self.page(form=None, invited=user, link=invitation_link(self.request, user))


class MembershipRoleView(MembershipPage):
    action = "ChangeRole"
    form_class = RoleForm
    template_name = "organizations/membership_role.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"initial": {"role": self.membership.role}}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.change_role(self.membership, role=given["role"])
        return self.done(f"{self.membership.user} is {given['role']} now.")


class MembershipRemoveView(MembershipPage):
    action = "RemoveMember"
    template_name = "organizations/membership_remove.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.remove_member(self.membership)
        return self.done(f"{self.membership.user} is no member any more.")


def invitation_link(request: Any, user: User) -> str:
    """Works once and for three days: whoever has it chooses the password of a new account."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    address = reverse("password-set", args=[key, default_token_generator.make_token(user)])
    return str(request.build_absolute_uri(address))
