from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.utils.functional import cached_property

from backups.models import Backup
from backups.policies.days import has_gap, planned_on
from backups.policies.filters import (
    OneClustersPolicyFilter,
    PolicyBackupFilter,
    PolicyFilter,
    RunFilter,
)
from backups.policies.views.detail import PolicyPage
from backups.policies.views.presenters import (
    BackupWithDecision,
    backups_with_decisions,
    listed_policies,
    policy_rows,
    runs_of,
)
from clusters.views.detail import ClusterPage
from clusters.views.list import ClusterChoiceView
from vbase_console.organizations.scopes import CREATE_BACKUP_POLICY, LIST_BACKUPS
from vbase_console.tasks.states import ACTIVE
from vbase_console.web.lists import ListPage


class PolicyListView(ListPage):
    scopes = {"GET": LIST_BACKUPS}
    template_name = "policies/list.html"
    table_name = "policies/partials/policy_table.html"
    filter_class = PolicyFilter
    nav = "policies"
    csv_columns = {
        "Name": "name",
        "Cluster": "cluster__name",
        "Cron": "schedule_cron",
        "Time zone": "timezone",
        "Backups to keep": "retention_count",
        "Active": "is_active",
        "Database": "db_name",
        "Collections": "collection_names",
        "Next run": "next_run_at",
        "Created": "created_at",
    }

    def rows(self) -> QuerySet[Any]:
        return listed_policies(self.principal)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        listed = policy_rows(self.principal, rows)
        return {
            "policies": listed,
            "reload": any(row.policy.last_status in ACTIVE for row in listed),
        }


class ClusterPolicyListView(PolicyListView, ClusterPage):
    filter_class = OneClustersPolicyFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(cluster=self.cluster)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return super().table_context(rows) | {"cluster": self.cluster}


class PolicyClusterChoiceView(ClusterChoiceView):
    scopes = {"GET": CREATE_BACKUP_POLICY}
    template_name = "policies/choose_cluster.html"
    table_name = "policies/partials/cluster_choice_table.html"
    chosen_page = "policy-create"
    nav = "policies"


class PolicyRunListView(ListPage, PolicyPage):
    template_name = "policies/runs.html"
    table_name = "policies/partials/run_table.html"
    csv_columns = {
        "Planned": "planned_at",
        "Job": "job__task__task_id",
        "State": "job__task__state",
        "Backup": "job__backup__name",
        "Skipped because": "skip_reason",
        "Manual": "is_manual",
        "Catch-up": "is_catch_up",
    }
    filter_class = RunFilter

    @property
    def day(self) -> date | None:
        """Day of the policy's time zone to which the list is limited."""
        return self.filter_form.given.get("day")

    def rows(self) -> QuerySet[Any]:
        runs = runs_of(self.principal).filter(policy=self.policy)
        return runs.filter(planned_on(self.policy, self.day)) if self.day else runs

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "reload": any(run.status in ACTIVE for run in rows),
            "was_missed": self.day is not None and has_gap(self.policy, self.day),
        }


class PolicyBackupListView(ListPage, PolicyPage):
    template_name = "policies/backups.html"
    table_name = "policies/partials/backup_list.html"
    filter_class = PolicyBackupFilter
    csv_columns = {
        "Name": "name",
        "Database": "db_name",
        "Status": "status",
        "Rows": "row_count",
        "Bytes": "size_bytes",
        "Pinned": "pinned",
        "Verified": "verified_at",
        "Restore-tested": "proven_at",
        "Created": "created_at",
        "Retention": "backup_id",
    }

    @cached_property
    def entries(self) -> dict[str, BackupWithDecision]:
        return {entry.backup.pk: entry for entry in backups_with_decisions(self.policy)}

    def rows(self) -> QuerySet[Any]:
        outcome = self.filter_form.given.get("fate")
        chosen = [pk for pk, entry in self.entries.items() if outcome in (None, entry.outcome)]
        return Backup.objects.visible_to(self.principal).filter(pk__in=chosen)

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[Sequence[object]]:
        """Replace the id of each backup by its retention decision, which is computed."""
        for *values, backup_id in super().csv_rows(rows):
            yield (*values, self.entries[str(backup_id)].outcome.label)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"policy": self.policy, "entries": [self.entries[backup.pk] for backup in rows]}
