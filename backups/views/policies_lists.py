"""The policies of an organization or of one cluster, and what each of them has made."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from backups.policy_filters import OneClustersPolicyFilter, PolicyFilter, RunFilter
from backups.views.policies import PolicyPage
from backups.views.policies_shown import (
    judged_backups,
    listed_policies,
    policy_rows,
    runs_of,
    words_of,
)
from clusters.forms import ClusterFilter
from clusters.models import Cluster
from clusters.views.detail import ClusterPage
from vbase_console.organizations.scopes import CREATE_BACKUP_POLICY, LIST_BACKUPS
from vbase_console.pages.listing import PAGE_SIZE, ListPage
from vbase_console.tasks.states import ACTIVE


class PolicyListView(ListPage):
    scopes = {"GET": LIST_BACKUPS}
    template_name = "backups/policy_list.html"
    table_name = "backups/partials/policy_table.html"
    filter_class = PolicyFilter
    nav = "policies"

    def rows(self) -> QuerySet[Any]:
        return listed_policies(self.principal)

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        listed = policy_rows(self.principal, rows)
        return {"policies": listed, "reload": any(_is_going(row.policy.last_run) for row in listed)}


def _is_going(run: Any) -> bool:
    return run is not None and run.status in ACTIVE


class ClusterPolicyListView(PolicyListView, ClusterPage):
    filter_class = OneClustersPolicyFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(cluster=self.cluster)

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        return super().shown(rows) | {"cluster": self.cluster}


class PolicyNewView(ListPage):
    """The first step to a policy from the organization's page: of which cluster."""

    scopes = {"GET": CREATE_BACKUP_POLICY}
    template_name = "backups/policy_new.html"
    table_name = "backups/partials/policy_new_table.html"
    filter_class = ClusterFilter
    nav = "policies"

    def rows(self) -> QuerySet[Any]:
        return Cluster.objects.alive().visible_to(self.principal)


class PolicyRunListView(ListPage, PolicyPage):
    template_name = "backups/policy_runs.html"
    table_name = "backups/partials/policy_run_table.html"
    filter_class = RunFilter

    def rows(self) -> QuerySet[Any]:
        return runs_of(self.principal).filter(policy=self.policy)

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        reload = any(_is_going(run) for run in rows)
        return {"policy": self.policy, "words": words_of(self.policy), "reload": reload}


class PolicyBackupListView(PolicyPage):
    """Every backup of the policy with retention's verdict on it: they are judged together, so what
    is paged is the answer and not the query.
    """

    template_name = "backups/policy_backups.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        judged = Paginator(judged_backups(self.policy), PAGE_SIZE)
        rows = judged.get_page(request.GET.get("page"))
        return self.page(rows=rows, words=words_of(self.policy))
