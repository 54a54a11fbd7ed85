from __future__ import annotations

from typing import Any, ClassVar

from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from clusters.filters import ClusterFilter
from clusters.models import Cluster
from clusters.states import BUSY, ENDED, ServiceStatus
from clusters.upgrade_plans import is_version_shipped, reachable_versions
from clusters.views.availability import strips_of
from clusters.views.curves import trends_of
from vbase_console.organizations.scopes import LIST_SERVICES, SCALE_CLUSTER
from vbase_console.web.lists import ListPage


class ClusterListView(ListPage):
    scopes = {"GET": LIST_SERVICES}
    template_name = "clusters/cluster_list.html"
    table_name = "clusters/partials/cluster_table.html"
    filter_class = ClusterFilter
    nav = "clusters"
    csv_columns = {
        "Name": "name",
        "Cluster id": "cluster_id",
        "Service id": "service_id",
        "Status": "status",
        "Version": "version",
        "Compute units": "compute_units",
        "Deletion protection": "deletion_protection",
        "Labels": "labels",
        "Created": "created_at",
    }

    def rows(self) -> QuerySet[Any]:
        return Cluster.objects.visible_to(self.principal)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        upgradable = {
            cluster.pk
            for cluster in rows
            if cluster.status not in ENDED and reachable_versions(cluster, cluster.version)
        }
        return {
            "reload": any(cluster.status in BUSY for cluster in rows),
            "unshipped": {cluster.pk for cluster in rows if not is_version_shipped(cluster)},
            "upgradable": upgradable,
            "may_upgrade": bool(upgradable) and self.principal.may(SCALE_CLUSTER),
            "trends": trends_of(list(rows), timezone.now()),
            "strips": strips_of(list(rows), self.principal.organization_name),
        }


class ClusterChoiceView(ListPage):
    """Choice of a cluster for an action. Links with `skip` omit the page if there is only one."""

    filter_class = ClusterFilter
    chosen_page: ClassVar[str]
    """Page of the action."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "skip" in request.GET:
            candidates = self.rows().exclude(status=ServiceStatus.DELETING)[:2]
            if len(candidates) == 1:
                name = self.principal.organization_name
                return redirect(self.chosen_page, name, candidates[0].cluster_id)
        return super().get(request, *args, **kwargs)

    def rows(self) -> QuerySet[Any]:
        return Cluster.objects.alive().visible_to(self.principal)
