"""What narrows and sorts lists of policies and of their runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast

from backups.policies.standing import Standing
from backups.policies.states import SKIPPED
from clusters.forms import EVERY
from vbase_console.pages.listing import FilterForm
from vbase_console.tasks.states import TaskState


class PolicyFilter(FilterForm):
    q = forms.CharField(label="Cluster or schedule", required=False, max_length=100)
    collection = forms.CharField(label="Database or collection", required=False, max_length=255)
    standing = forms.ChoiceField(label="State", required=False, choices=[*EVERY, *Standing.choices])
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    SORTS = ("attention", "cluster__name", "next_run_at", "last_run__created_at")

    @property
    def order(self) -> str:
        """Failing ones first, unless asked otherwise."""
        asked = str(self.given.get("sort", ""))
        return asked if asked.removeprefix("-") in self.SORTS else "attention"

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        given = self.given
        if "standing" in given:
            rows = rows.filter(standing=given["standing"])
        if text := str(given.get("q", "")).strip():
            ids = Q(cluster__cluster_id=text) | Q(cluster__service_id=text) | Q(policy_id=text)
            rows = rows.filter(
                Q(cluster__name__icontains=text) | Q(schedule_cron__icontains=text) | ids
            )
        if text := str(given.get("collection", "")).strip():
            rows = rows.alias(names=Cast("collection_names", TextField()))
            rows = rows.filter(Q(db_name__icontains=text) | Q(names__icontains=text))
        return rows.order_by(_ordered(self.order), F("next_run_at").asc(nulls_last=True), "-pk")


class OneClustersPolicyFilter(PolicyFilter):
    q = forms.CharField(label="Schedule or id", required=False, max_length=100)


class RunFilter(FilterForm):
    status = forms.ChoiceField(
        required=False,
        choices=[
            *EVERY,
            (SKIPPED, "Skipped"),
            *((s.value, s.value.capitalize()) for s in TaskState),
        ],
    )

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        status = self.given.get("status")
        if status is None:
            return rows
        skipped = ~Q(skip_reason="")
        return rows.filter(skipped if status == SKIPPED else ~skipped & Q(job__task__state=status))


def _ordered(name: str) -> OrderBy:
    field = F(name.removeprefix("-"))
    return field.desc(nulls_last=True) if name.startswith("-") else field.asc(nulls_last=True)
