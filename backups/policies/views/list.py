"""Lists of policies, and of the runs and backups of one policy."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.utils.functional import cached_property

from backups.models import Backup
from backups.policies.filters import JudgedFilter, OneClustersPolicyFilter, PolicyFilter, RunFilter
from backups.policies.views.detail import PolicyPage
from backups.policies.views.presenters import (
    BackupWithDecision,
    judged_backups,
    listed_policies,
    policy_rows,
    runs_of,
)
from clusters.filters import ClusterFilter
from clusters.models import Cluster
from clusters.views.detail import ClusterPage
from vbase_console.organizations.scopes import CREATE_BACKUP_POLICY, LIST_BACKUPS
from vbase_console.tasks.states import ACTIVE
from vbase_console.web.lists import ListPage


class PolicyListView(ListPage):
    scopes = {"GET": LIST_BACKUPS}
    template_name = "policies/list.html"
    table_name = "policies/partials/table.html"
    filter_class = PolicyFilter
    nav = "policies"

    def rows(self) -> QuerySet[Any]:
        return listed_policies(self.principal)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        listed = policy_rows(self.principal, rows)
        return {"policies": listed, "reload": any(_is_going(row.policy.last_run) for row in listed)}


def _is_going(run: Any) -> bool:
    return run is not None and run.status in ACTIVE


class ClusterPolicyListView(PolicyListView, ClusterPage):
    filter_class = OneClustersPolicyFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(cluster=self.cluster)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return super().table_context(rows) | {"cluster": self.cluster}


class PolicyNewView(ListPage):
    """First step of creating a policy: the choice of a cluster."""

    scopes = {"GET": CREATE_BACKUP_POLICY}
    template_name = "policies/new.html"
    table_name = "policies/partials/new_table.html"
    filter_class = ClusterFilter
    nav = "policies"

    def rows(self) -> QuerySet[Any]:
        return Cluster.objects.alive().visible_to(self.principal)


class PolicyRunListView(ListPage, PolicyPage):
    template_name = "policies/runs.html"
    table_name = "policies/partials/run_table.html"
    filter_class = RunFilter

    def rows(self) -> QuerySet[Any]:
        return runs_of(self.principal).filter(policy=self.policy)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        reload = any(_is_going(run) for run in rows)
        return {"policy": self.policy, "reload": reload}


class PolicyBackupListView(ListPage, PolicyPage):
    """Backups of a policy with retention decisions, which depend on all of them."""

    template_name = "policies/backups.html"
    table_name = "policies/partials/backup_list.html"
    filter_class = JudgedFilter

    @cached_property
    def judged(self) -> dict[str, BackupWithDecision]:
        return {each.backup.pk: each for each in judged_backups(self.policy)}

    def rows(self) -> QuerySet[Any]:
        fate = self.filter_form.given.get("fate")
        chosen = [pk for pk, each in self.judged.items() if fate in (None, each.fate)]
        return Backup.objects.visible_to(self.principal).filter(pk__in=chosen)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        judged = [self.judged[backup.pk] for backup in rows]
        return {"policy": self.policy, "judged": judged}
