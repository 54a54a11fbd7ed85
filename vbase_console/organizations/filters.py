from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from vbase_console.core.errors import InvalidArgument
from vbase_console.core.labels import WORDS_OF_ACTIONS
from vbase_console.organizations.audit import Interface
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.scopes import Role
from vbase_console.web.lists import ANY_CHOICE, FilterForm


class ActivityFilter(FilterForm):
    q = forms.CharField(label="User, action or object", required=False, max_length=200)
    outcome = forms.ChoiceField(choices=[*ANY_CHOICE, *Outcome.choices], required=False)
    interface = forms.ChoiceField(
        label="Source", choices=[*ANY_CHOICE, *Interface.choices], required=False
    )

    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="Until (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    changes = forms.ChoiceField(
        label="Changes", choices=[*ANY_CHOICE, ("some", "With old and new values")], required=False
    )
    address = forms.CharField(label="Address", required=False, max_length=45)
    input = forms.ChoiceField(
        label="Refused input", choices=[("", "Hidden"), ("shown", "Shown")], required=False
    )

    SEARCH_LOOKUPS = ("principal__icontains", "action__icontains", "object_id__icontains")
    SORT_FIELDS = ("at", "principal", "action", "outcome", "interface")
    DEFAULT_ORDER = "-at"

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Leave out forms with invalid input unless they are asked for. The audit keeps them."""
        if self.given.get("input") != "shown":
            is_typo = Q(detail__startswith=f"{InvalidArgument.code}:", interface=Interface.PAGES)
            rows = rows.exclude(is_typo, outcome=Outcome.REFUSED)
        if "since" in self.given:
            rows = rows.filter(at__gte=_midnight(self.given["since"]))
        if "until" in self.given:
            rows = rows.filter(at__lt=_midnight(self.given["until"]) + timedelta(days=1))
        if "changes" in self.given:
            rows = rows.filter(changes__isnull=False)
        if address := self.text("address"):
            rows = rows.filter(source__startswith=address)
        names = self.given.keys() & {"outcome", "interface"}
        return rows.filter(**{name: self.given[name] for name in names})

    def search_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        found = super().search_rows(rows)
        text = self.text("q")
        return found | rows.filter(_actions_of(text)) if text else found


def _actions_of(text: str) -> Q:
    """Find actions by their words, which pages show."""
    lower = text.lower()
    named = [action for action, words in WORDS_OF_ACTIONS.items() if lower in words.lower()]
    return Q(action__icontains=text.replace(" ", "")) | Q(action__in=named)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class MembershipFilter(FilterForm):
    q = forms.CharField(label="E-mail", required=False, max_length=254)
    role = forms.ChoiceField(
        choices=[*ANY_CHOICE, *((role.value, role.value.capitalize()) for role in Role)],
        required=False,
    )

    SEARCH_LOOKUPS = ("user__username__icontains",)
    SORT_FIELDS = ("user__username", "role", "created_at", "user__last_login")
    DEFAULT_ORDER = "user__username"
    TIE_BREAKERS = ("pk",)
    NULLS_LAST = frozenset({"user__last_login"})

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(role=self.given["role"]) if "role" in self.given else rows


class ApiKeyFilter(FilterForm):
    q = forms.CharField(label="Name or prefix", required=False, max_length=50)
    state = forms.ChoiceField(
        choices=[*ANY_CHOICE, ("open", "Active"), ("expired", "Expired"), ("revoked", "Revoked")],
        required=False,
    )

    SEARCH_LOOKUPS = ("name__icontains", "prefix__istartswith")
    SORT_FIELDS = ("name", "created", "last_used_at", "expiry_date")
    DEFAULT_ORDER = "revoked"
    TIE_BREAKERS = ("-created", "-pk")
    NULLS_LAST = frozenset({"last_used_at", "expiry_date"})

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        expired = Q(expiry_date__lte=timezone.now())
        conditions = {
            "open": Q(revoked=False) & ~expired,
            "expired": Q(revoked=False) & expired,
            "revoked": Q(revoked=True),
        }
        return rows.filter(conditions[self.given["state"]]) if "state" in self.given else rows


class OrganizationFilter(FilterForm):
    q = forms.CharField(label="Name", required=False, max_length=63)

    SEARCH_LOOKUPS = ("organization__name__icontains",)
    SORT_FIELDS = ("organization__name", "role", "members")
    DEFAULT_ORDER = "organization__name"
