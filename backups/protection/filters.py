from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import OrderBy
from django.utils import timezone

from vbase_console.web.lists import ANY_CHOICE, FilterForm

STATES = {"uncovered": "Uncovered", "stale": "Stale", "covered": "Covered"}


class ProtectionFilter(FilterForm):
    q = forms.CharField(label="Collection", required=False, max_length=255)
    cluster = forms.CharField(required=False, max_length=64)
    db_name = forms.CharField(label="Database", required=False, max_length=255)
    state = forms.ChoiceField(required=False, choices=[*ANY_CHOICE, *STATES.items()])

    SEARCH_LOOKUPS = ("name__icontains",)
    SORT_FIELDS = ("severity", "name", "cluster__name", "newest_backup__created_at")
    DEFAULT_ORDER = "severity"  # uncovered, then stale, then covered
    TIE_BREAKERS = ("cluster__name", "db_name", "name", "pk")

    @property
    def searches(self) -> bool:
        return bool(self.given.keys() & {"q", "cluster", "db_name"})

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        if state := self.given.get("state"):
            querysets = {"uncovered": rows.uncovered, "covered": rows.covered}  # type: ignore[attr-defined]
            rows = rows.stale(now) if state == "stale" else querysets[state]()  # type: ignore[attr-defined]
        if text := self.text("db_name"):
            rows = rows.filter(db_name=text)
        if text := self.text("cluster"):
            ids = Q(cluster__cluster_id=text) | Q(cluster__service_id=text)
            rows = rows.filter(Q(cluster__name__icontains=text) | ids)
        severity = Case(
            When(policy__isnull=True, then=Value(0)),
            When(rpo_deadline__lte=now, then=Value(1)),
            default=Value(2),
            output_field=IntegerField(),
        )
        annotated: QuerySet[Any] = rows.annotate(severity=severity)
        return annotated

    def ordering(self) -> OrderBy:
        """Sort collections without a backup before those with the oldest backup."""
        field, descending = F(self.order.removeprefix("-")), self.order.startswith("-")
        return field.desc(nulls_last=True) if descending else field.asc(nulls_first=True)
