from __future__ import annotations

from typing import Any

from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from backups.filters import BackupFilter, OneClustersBackupFilter
from backups.models import Backup
from backups.views.presenters import backup_rows, newest_of
from clusters.views.detail import ClusterPage
from clusters.views.list import ClusterChoiceView
from vbase_console.organizations.scopes import CREATE_BACKUP, LIST_BACKUPS
from vbase_console.web.lists import ListPage
from vbase_console.web.views import wants_fragment


class BackupListView(ListPage):
    scopes = {"GET": LIST_BACKUPS}
    template_name = "backups/backup_list.html"
    table_name = "backups/partials/backup_table.html"
    filter_class = BackupFilter
    nav = "backups"
    csv_columns = {
        "Name": "name",
        "Cluster": "cluster__name",
        "Database": "db_name",
        "Status": "status",
        "Rows": "row_count",
        "Bytes": "size_bytes",
        "Pinned": "pinned",
        "Verified": "verified_at",
        "Restore-tested": "proven_at",
        "Damage found by": "damage_found_by",
        "Policy": "policy_id",
        "Created": "created_at",
    }

    def rows(self) -> QuerySet[Any]:
        return Backup.objects.present().visible_to(self.principal).select_related("cluster")

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        listed = backup_rows(self.principal, rows)
        return {
            "backups": listed,
            "reload": any(row.job for row in listed),
            "may_select": self.principal.may(CREATE_BACKUP),
        }


class ClusterBackupListView(BackupListView, ClusterPage):
    filter_class = OneClustersBackupFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(cluster=self.cluster)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return super().table_context(rows) | {"cluster": self.cluster}


class NewestBackupsView(ClusterPage):
    """Fragment that a cluster's page polls while a job is running."""

    scopes = {"GET": LIST_BACKUPS}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not wants_fragment(self.request):
            return self.to_cluster()
        about = {"cluster": self.cluster} | newest_of(self.principal, self.cluster)
        return self.fragment("backups/partials/cluster_backups.html", **about)


class BackupClusterChoiceView(ClusterChoiceView):
    scopes = {"GET": CREATE_BACKUP}
    template_name = "backups/backup_choose_cluster.html"
    table_name = "backups/partials/cluster_choice_table.html"
    chosen_page = "backup-take"
    nav = "backups"
