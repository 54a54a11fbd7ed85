"""What narrows and sorts the list of collections."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import OrderBy
from django.utils import timezone

from clusters.forms import EVERY
from vbase_console.pages.listing import FilterForm

STATES = {"uncovered": "Uncovered", "stale": "Stale", "covered": "Covered"}


class ProtectionFilter(FilterForm):
    q = forms.CharField(label="Collection", required=False, max_length=255)
    cluster = forms.CharField(required=False, max_length=64)
    db_name = forms.CharField(label="Database", required=False, max_length=255)
    state = forms.ChoiceField(required=False, choices=[*EVERY, *STATES.items()])
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    SORTS = ("attention", "name", "cluster__name", "newest_backup__created_at")

    @property
    def order(self) -> str:
        """What nobody takes first, then what is stale, unless asked otherwise."""
        asked = str(self.given.get("sort", ""))
        return asked if asked.removeprefix("-") in self.SORTS else "attention"

    @property
    def searches(self) -> bool:
        """Whether more than a state is asked for."""
        return bool(self.given.keys() & {"q", "cluster", "db_name"})

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        given, now = self.given, timezone.now()
        if state := given.get("state"):
            chosen = {"uncovered": rows.uncovered, "covered": rows.covered}  # type: ignore[attr-defined]
            rows = rows.stale(now) if state == "stale" else chosen[state]()  # type: ignore[attr-defined]
        if text := str(given.get("q", "")).strip():
            rows = rows.filter(name__icontains=text)
        if text := str(given.get("db_name", "")).strip():
            rows = rows.filter(db_name=text)
        if text := str(given.get("cluster", "")).strip():
            ids = Q(cluster__cluster_id=text) | Q(cluster__service_id=text)
            rows = rows.filter(Q(cluster__name__icontains=text) | ids)
        rows = rows.annotate(attention=_attention(now))
        return rows.order_by(_ordered(self.order), "cluster__name", "db_name", "name", "pk")


def _attention(now: Any) -> Case:
    return Case(
        When(policy__isnull=True, then=Value(0)),
        When(stale_from__lte=now, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )


def _ordered(name: str) -> OrderBy:
    """What has no backup at all comes before the oldest."""
    field = F(name.removeprefix("-"))
    return field.desc(nulls_last=True) if name.startswith("-") else field.asc(nulls_first=True)
