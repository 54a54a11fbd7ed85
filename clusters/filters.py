from __future__ import annotations

import operator
from functools import reduce
from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from clusters.lookups import HasLabel, parse_label
from clusters.models import Cluster
from clusters.states import RolloutState, ServiceStatus
from clusters.upgrade_plans import is_version_offered
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
    shipped = forms.ChoiceField(
        label="Version",
        required=False,
        choices=[*ANY_CHOICE, ("no", "No longer shipped")],
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
        if self.given.get("shipped") == "no":
            rows = rows.filter(is_unshipped(rows))
        label = self.text("label")
        return rows.filter(HasLabel(*parse_label(label))) if label else rows


def is_unshipped(clusters: QuerySet[Cluster]) -> Q:
    """Match the versions of these clusters that the console ships no longer."""
    pairs = clusters.order_by().values_list("driver", "version").distinct()
    unshipped = [pair for pair in pairs if not is_version_offered(*pair)]
    conditions = (Q(driver=driver, version=version) for driver, version in unshipped)
    return reduce(operator.or_, conditions, Q(pk__in=[]))


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
