"""Filters of the lists of activity, members, API keys and organizations."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from vbase_console.organizations.audit import Interface
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.scopes import Role
from vbase_console.web.lists import ANY_CHOICE, FilterForm


class ActivityFilter(FilterForm):
    q = forms.CharField(label="User, key, action or object", required=False, max_length=200)
    outcome = forms.ChoiceField(choices=[*ANY_CHOICE, *Outcome.choices], required=False)
    interface = forms.ChoiceField(
        label="Source", choices=[*ANY_CHOICE, *Interface.choices], required=False
    )

    SEARCHED = ("principal__icontains", "action__icontains", "object_id__icontains")
    SORTS = ("at", "principal", "action", "outcome", "interface")
    FIRST = "-at"

    def chosen(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        names = self.given.keys() & {"outcome", "interface"}
        return rows.filter(**{name: self.given[name] for name in names})


class MembershipFilter(FilterForm):
    q = forms.CharField(label="E-mail", required=False, max_length=254)
    role = forms.ChoiceField(
        choices=[*ANY_CHOICE, *((role.value, role.value.capitalize()) for role in Role)],
        required=False,
    )

    SEARCHED = ("user__username__icontains",)
    SORTS = ("user__username", "role", "created_at", "user__last_login")
    FIRST = "user__username"
    TIES = ("pk",)
    ABSENT_LAST = frozenset({"user__last_login"})

    def chosen(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(role=self.given["role"]) if "role" in self.given else rows


class ApiKeyFilter(FilterForm):
    q = forms.CharField(label="Name or prefix", required=False, max_length=50)
    state = forms.ChoiceField(
        choices=[*ANY_CHOICE, ("open", "Active"), ("expired", "Expired"), ("revoked", "Revoked")],
        required=False,
    )

    SEARCHED = ("name__icontains", "prefix__istartswith")
    SORTS = ("name", "created", "last_used_at", "expiry_date")
    FIRST = "revoked"
    TIES = ("-created", "-pk")
    ABSENT_LAST = frozenset({"last_used_at", "expiry_date"})

    def chosen(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        expired = Q(expiry_date__lte=timezone.now())
        conditions = {
            "open": Q(revoked=False) & ~expired,
            "expired": Q(revoked=False) & expired,
            "revoked": Q(revoked=True),
        }
        return rows.filter(conditions[self.given["state"]]) if "state" in self.given else rows


class OrganizationFilter(FilterForm):
    q = forms.CharField(label="Name", required=False, max_length=63)

    SEARCHED = ("organization__name__icontains",)
    SORTS = ("organization__name", "role", "members")
    FIRST = "organization__name"
