from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast

from backups.policies.health import PolicyHealth
from backups.policies.states import SKIPPED, RetentionOutcome
from vbase_console.tasks.states import TaskState
from vbase_console.web.lists import ANY_CHOICE, FilterForm, day_field


class PolicyFilter(FilterForm):
    q = forms.CharField(label="Policy, cluster or schedule", required=False, max_length=100)
    collection = forms.CharField(label="Database or collection", required=False, max_length=255)
    standing = forms.ChoiceField(
        label="State", required=False, choices=[*ANY_CHOICE, *PolicyHealth.choices]
    )

    SEARCH_LOOKUPS = (
        "name__icontains",
        "cluster__name__icontains",
        "schedule_cron__icontains",
        "cluster__cluster_id",
        "cluster__service_id",
        "policy_id",
    )
    SORT_FIELDS = ("severity", "cluster__name", "next_run_at")
    DEFAULT_ORDER = "severity"  # failing ones first
    TIE_BREAKERS = (F("next_run_at").asc(nulls_last=True), "-pk")
    NULLS_LAST = frozenset({"next_run_at"})

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if "standing" in self.given:
            rows = rows.filter(health=self.given["standing"])
        if text := self.text("collection"):
            rows = rows.alias(names=Cast("collection_names", TextField()))
            rows = rows.filter(Q(db_name__icontains=text) | Q(names__icontains=text))
        return rows


class OneClustersPolicyFilter(PolicyFilter):
    q = forms.CharField(label="Policy, schedule or id", required=False, max_length=100)


class PolicyBackupFilter(FilterForm):
    """Filter of the backups of one policy. Retention decisions are computed, not stored."""

    q = forms.CharField(label="Backup", required=False, max_length=128)
    fate = forms.ChoiceField(
        label="Retention", required=False, choices=[*ANY_CHOICE, *RetentionOutcome.choices]
    )

    SEARCH_LOOKUPS = ("name__icontains",)
    SORT_FIELDS = ("name", "row_count", "size_bytes", "created_at")


class RunFilter(FilterForm):
    q = forms.CharField(label="Backup or reason", required=False, max_length=128)
    status = forms.ChoiceField(
        required=False,
        choices=[
            *ANY_CHOICE,
            (SKIPPED, "Skipped"),
            *((s.value, s.value.capitalize()) for s in TaskState),
        ],
    )
    day = day_field()

    SEARCH_LOOKUPS = (
        "job__backup__name__icontains",
        "job__task__message__icontains",
        "skip_reason__icontains",
    )
    SORT_FIELDS = ("planned_at", "job__task__state", "job__backup__name")
    DEFAULT_ORDER = "-planned_at"
    INDEXED_ORDERS = frozenset({"planned_at", "-planned_at"})
    LONG_SEARCH = "The text finds the complete id of a job."
    NULLS_LAST = frozenset({"job__task__state", "job__backup__name"})

    def search_long(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        text = self.text("q")
        return rows.filter(job__task__task_id=text) if text else rows

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        status = self.given.get("status")
        if status is None:
            return rows
        skipped = ~Q(skip_reason="")
        return rows.filter(skipped if status == SKIPPED else ~skipped & Q(job__task__state=status))
