"""Protection page: known collections of an organization with their coverage."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.utils import timezone

from backups.protection.filters import ProtectionFilter
from backups.protection.presenters import collection_rows, coverage_figures, known_to
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.web.lists import ListPage


class ProtectionView(ListPage):
    scopes = {"GET": LIST_BACKUPS}
    template_name = "protection/list.html"
    table_name = "protection/partials/table.html"
    filter_class = ProtectionFilter
    nav = "protection"
    csv_columns = {
        "Cluster": "cluster__name",
        "Database": "db_name",
        "Collection": "name",
        "Policy": "policy__name",
        "Stale after": "rpo_deadline",
        "Latest backup": "newest_backup__name",
        "Latest restore-tested backup": "proven_backup__name",
    }

    def rows(self) -> QuerySet[Any]:
        collections: QuerySet[Any] = known_to(self.principal)
        return collections

    def context(self) -> dict[str, Any]:
        return super().context() | coverage_figures(self.principal, timezone.now())

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"collections": collection_rows(self.principal, rows)}
