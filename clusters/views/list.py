from __future__ import annotations

from typing import Any

from django.core.paginator import Page as Rows
from django.db.models import QuerySet

from clusters.filters import ClusterFilter
from clusters.models import Cluster
from clusters.states import BUSY
from vbase_console.organizations.scopes import LIST_SERVICES
from vbase_console.web.lists import ListPage


class ClusterListView(ListPage):
    scopes = {"GET": LIST_SERVICES}
    template_name = "clusters/cluster_list.html"
    table_name = "clusters/partials/cluster_table.html"
    filter_class = ClusterFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return Cluster.objects.visible_to(self.principal)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"reload": any(cluster.status in BUSY for cluster in rows)}
