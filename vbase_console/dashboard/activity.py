"""Activity page: audit entries of one organization with links to their objects.

Audit entries store object ids as text, so links are resolved for objects that still exist.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page as Rows
from django.db.models import Q, QuerySet
from django.urls import reverse

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.states import JobKind
from clusters.models import Cluster
from clusters.views.presenters import KINDS
from vbase_console.organizations import differences
from vbase_console.organizations.filters import ActivityFilter
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import ANY_MEMBER, MANAGE_ORGANIZATION
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.web.differences import Difference, differences_of
from vbase_console.web.lists import ListPage
from vbase_console.web.wording import reason_of

LIST_OF_ACTION = {
    "AddMember": "membership-list",
    "InviteMember": "membership-list",
    "ChangeRole": "membership-list",
    "IssueApiKey": "api-key-list",
    "RevokeApiKey": "api-key-list",
}
"""Action → list page, for owners, that contains its object."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActivityRow:
    entry: AuditEntry
    object_address: str
    """Empty if the object has no page or no longer exists."""
    detail_address: str
    """Page of the accepted task."""
    reason: str
    """Detail in the words of pages, without the code of an error."""
    differences: list[Difference]


class ActivityListView(ListPage):
    scopes = {"GET": ANY_MEMBER}
    template_name = "dashboard/activity_list.html"
    table_name = "dashboard/partials/activity_table.html"
    filter_class = ActivityFilter
    nav = "activity"
    csv_columns = {
        "Time": "at",
        "Principal": "principal",
        "Action": "action",
        "Object": "object_id",
        "Outcome": "outcome",
        "Detail": "detail",
        "Changes": "changes",
        "Source": "interface",
        "Address": "source",
    }

    def rows(self) -> QuerySet[Any]:
        return AuditEntry.objects.visible_to(self.principal)

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[Sequence[object]]:
        position = list(self.csv_columns).index("Changes")
        for values in super().csv_rows(rows):
            changes = differences.shown(values[position]) or None  # type: ignore[arg-type]
            yield [*values[:position], changes, *values[position + 1 :]]

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"activity": activity_rows(self.principal, list(rows))}


def activity_rows(principal: Principal, entries: list[AuditEntry]) -> list[ActivityRow]:
    """Return one row per entry. The number of queries does not depend on the number of entries."""
    texts = {text for entry in entries for text in (entry.object_id, entry.detail)}
    addresses_by_id = dict(_addresses_by_id(principal, texts))
    backups = Backup.objects.present().visible_to(principal).filter(name__in=texts)
    backup_names = set(backups.values_list("name", flat=True))

    def address(entry: AuditEntry) -> str:
        if entry.action in LIST_OF_ACTION:
            if not principal.may(MANAGE_ORGANIZATION):
                return ""
            page = reverse(LIST_OF_ACTION[entry.action], args=[principal.organization_name])
            return f"{page}?{urlencode({'q': entry.object_id})}"
        if entry.object_id in addresses_by_id:
            return addresses_by_id[entry.object_id]
        if "Backup" in entry.action and entry.object_id in backup_names:
            return reverse("backup-detail", args=[principal.organization_name, entry.object_id])
        return ""

    return [
        ActivityRow(
            entry=entry,
            object_address=address(entry),
            detail_address=addresses_by_id.get(entry.detail, ""),
            reason=reason_of(entry.detail),
            differences=differences_of(entry.changes),
        )
        for entry in entries
    ]


def _addresses_by_id(principal: Principal, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    organization = principal.organization_name
    clusters = Cluster.objects.visible_to(principal)
    clusters = clusters.filter(Q(cluster_id__in=texts) | Q(service_id__in=texts))
    for cluster_id, service_id in clusters.values_list("cluster_id", "service_id"):
        page = reverse("cluster-detail", args=[organization, cluster_id])
        yield from ((cluster_id, page), (service_id, page))
    tasks = Task.objects.visible_to(principal).filter(task_id__in=texts)
    for task_id, kind in tasks.values_list("task_id", "kind"):
        if kind in KINDS or kind in JobKind.values:
            name = "task-detail" if kind in KINDS else "job-detail"
            yield task_id, reverse(name, args=[organization, task_id])
    policies = BackupPolicy.objects.visible_to(principal).filter(policy_id__in=texts)
    for policy_id in policies.values_list("policy_id", flat=True):
        yield policy_id, reverse("policy-detail", args=[organization, policy_id])
