from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.db.models.expressions import OrderBy

from backups.states import BACKUP_ID_PREFIX, BackupStatus, is_damaged, is_good
from clusters.models import Cluster
from vbase_console.core.prefixes import with_prefix
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

    tested = forms.ChoiceField(
        required=False, label="Restore-tested", choices=[*ANY_CHOICE, ("yes", "Yes"), ("no", "No")]
    )
    pinned = forms.ChoiceField(
        required=False, choices=[*ANY_CHOICE, ("yes", "Pinned"), ("no", "Not pinned")]
    )

    SEARCH_LOOKUPS = ("name__icontains",)
    SORT_FIELDS = ("name", "cluster__name", "status", "row_count", "size_bytes", "created_at")
    TIE_BREAKERS = ("-backup_id",)
    NULLS_LAST = frozenset({"row_count", "size_bytes"})
    INDEXED_ORDERS = frozenset({"created_at", "-created_at", "name", "-name"})
    LONG_SEARCH = "The text finds the beginning of names and complete ids, sorted by name."

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if status := self.given.get("status"):
            conditions = {BackupStatus.AVAILABLE: is_good(), DAMAGED: is_damaged()}
            rows = rows.filter(conditions.get(status, Q(status=status)))
        if tested := self.given.get("tested"):
            rows = rows.filter(proven_at__isnull=tested == "no")
        if pinned := self.given.get("pinned"):
            rows = rows.filter(pinned=pinned == "yes")
        if text := self.text("db_name"):
            rows = rows.filter(db_name=text)
        return _of_cluster(rows, self.text("cluster"))

    def search_long(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        text = self.text("q")
        if text.startswith(f"{BACKUP_ID_PREFIX}-"):
            return rows.filter(backup_id=text)
        return with_prefix(rows, "name", text) if text else rows

    def ordering(self) -> str | OrderBy:
        """Sort by the index that the search reads: by another one, rare names come last."""
        return "name" if self.is_long and self.text("q") else super().ordering()


class OneClustersBackupFilter(BackupFilter):
    cluster = None  # type: ignore[assignment]


def _of_cluster(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    if not text:
        return rows
    return rows.filter(cluster__in=Cluster.objects.matching(text))
