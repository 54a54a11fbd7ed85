"""Filters of the lists of backups and jobs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from backups.states import BackupStatus, JobKind, is_damaged, is_good
from vbase_console.tasks.states import TaskState
from vbase_console.web.lists import ANY_CHOICE, FilterForm

DAMAGED = "DAMAGED"
"""Filter value for available backups with damage."""


class BackupFilter(FilterForm):
    q = forms.CharField(label="Name", required=False, max_length=128)
    cluster = forms.CharField(required=False, max_length=64)
    db_name = forms.CharField(label="Database", required=False, max_length=255)
    status = forms.ChoiceField(
        required=False,
        choices=[
            *ANY_CHOICE,
            *((s.value, s.value.capitalize()) for s in BackupStatus if s != BackupStatus.GONE),
            (DAMAGED, "Damaged"),
        ],
    )

    SEARCH_LOOKUPS = ("name__icontains",)
    SORT_FIELDS = ("name", "cluster__name", "status", "row_count", "size_bytes", "created_at")
    TIE_BREAKERS = ("-backup_id",)
    NULLS_LAST = frozenset({"row_count", "size_bytes"})

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if status := self.given.get("status"):
            conditions = {BackupStatus.AVAILABLE: is_good(), DAMAGED: is_damaged()}
            rows = rows.filter(conditions.get(status, Q(status=status)))
        if text := self.text("db_name"):
            rows = rows.filter(db_name=text)
        return _of_cluster(rows, self.text("cluster"))


class OneClustersBackupFilter(BackupFilter):
    cluster = None  # type: ignore[assignment]


class JobFilter(FilterForm):
    q = forms.CharField(label="Backup or job id", required=False, max_length=128)
    cluster = forms.CharField(required=False, max_length=64)
    kind = forms.ChoiceField(
        required=False, choices=[*ANY_CHOICE, *((k.value, k.value.capitalize()) for k in JobKind)]
    )
    state = forms.ChoiceField(
        required=False, choices=[*ANY_CHOICE, *((s.value, s.value.capitalize()) for s in TaskState)]
    )

    SEARCH_LOOKUPS = ("backup__name__icontains", "task__task_id__icontains")
    SORT_FIELDS = (
        "job_type",
        "backup__name",
        "cluster__name",
        "task__state",
        "task__requested_by",
        "task_id",
    )
    DEFAULT_ORDER = "-task_id"
    TIE_BREAKERS = ("-task_id",)

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if "kind" in self.given:
            rows = rows.filter(job_type=self.given["kind"])
        if "state" in self.given:
            rows = rows.filter(task__state=self.given["state"])
        return _of_cluster(rows, self.text("cluster"))


class OneClustersJobFilter(JobFilter):
    cluster = None  # type: ignore[assignment]


def _of_cluster(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    if not text:
        return rows
    ids = Q(cluster__cluster_id=text) | Q(cluster__service_id=text)
    return rows.filter(Q(cluster__name__icontains=text) | ids)
