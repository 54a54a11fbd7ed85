from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from clusters.lookups import HasLabel, parse_label
from clusters.states import RolloutState, ServiceStatus
from vbase_console.web.lists import ANY_CHOICE, FilterForm


class ClusterFilter(FilterForm):
    q = forms.CharField(label="Name or id", required=False, max_length=100)
    status = forms.ChoiceField(
        required=False,
        choices=[
            *ANY_CHOICE,
            *((s.value, s.value.replace("_", " ").capitalize()) for s in ServiceStatus),
        ],
    )
    label = forms.CharField(
        required=False,
        max_length=320,
        widget=forms.TextInput(attrs={"placeholder": "key=value or key"}),
    )

    SEARCH_LOOKUPS = ("name__icontains", "cluster_id__icontains", "service_id__icontains")
    SORT_FIELDS = ("name", "status", "version", "compute_units", "created_at")
    TIE_BREAKERS = ("-cluster_id",)

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """List deleted clusters only if the filter asks for them."""
        status = self.given.get("status")
        deleted = ServiceStatus.DELETED
        rows = rows.filter(status=status) if status else rows.exclude(status=deleted)
        label = self.text("label")
        return rows.filter(HasLabel(*parse_label(label))) if label else rows


class RolloutFilter(FilterForm):
    q = forms.CharField(label="Rollout, version or requester", required=False, max_length=128)
    state = forms.ChoiceField(
        required=False,
        choices=[*ANY_CHOICE, *((state.value, state.value.capitalize()) for state in RolloutState)],
    )

    SEARCH_LOOKUPS = ("rollout_id__icontains", "version__icontains", "requested_by__icontains")
    SORT_FIELDS = ("version", "state", "requested_by", "created_at")
    TIE_BREAKERS = ("-rollout_id",)

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(state=self.given["state"]) if "state" in self.given else rows
