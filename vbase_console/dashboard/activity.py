"""Who did what: the audit rows of one organization, each with a way to what it is about. History
keeps that as text, so it may lead to rows of any app, and to none that is gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
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
from vbase_console.organizations.filters import ActivityFilter
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import ANY_MEMBER, MANAGE_ORGANIZATION
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.web.lists import ListPage

LISTS = {
    "AddMember": "membership-list",
    "InviteMember": "membership-list",
    "ChangeRole": "membership-list",
    "IssueApiKey": "api-key-list",
    "RevokeApiKey": "api-key-list",
}
"""Action → the list of the owners' in which its object can be looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActivityRow:
    entry: AuditEntry
    object_address: str
    """Empty where there is no page, or none any more."""
    detail_address: str
    """Of the operation that was accepted."""


class ActivityListView(ListPage):
    scopes = {"GET": ANY_MEMBER}
    template_name = "dashboard/activity_list.html"
    table_name = "dashboard/partials/activity_table.html"
    filter_class = ActivityFilter
    nav = "activity"

    def rows(self) -> QuerySet[Any]:
        return AuditEntry.objects.visible_to(self.principal)

    def shown(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"lines": lines_of(self.principal, list(rows))}


def lines_of(principal: Principal, entries: list[AuditEntry]) -> list[ActivityRow]:
    """With as many queries for many entries as for few."""
    said = {text for entry in entries for text in (entry.object_id, entry.detail)}
    by_id, of_backup = dict(_by_id(principal, said)), dict(_backups(principal, said))

    def address(entry: AuditEntry) -> str:
        named = entry.object_id
        if entry.action in LISTS:
            return _in_list(principal, LISTS[entry.action], named)
        return by_id.get(named) or (of_backup.get(named, "") if "Backup" in entry.action else "")

    return [
        ActivityRow(
            entry=entry,
            object_address=address(entry),
            detail_address=by_id.get(entry.detail, ""),
        )
        for entry in entries
    ]


def _by_id(principal: Principal, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
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


def _backups(principal: Principal, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    backups = Backup.objects.present().visible_to(principal).filter(name__in=texts)
    for name in backups.values_list("name", flat=True):
        yield name, reverse("backup-detail", args=[principal.organization_name, name])


def _in_list(principal: Principal, name: str, text: str) -> str:
    if not principal.may(MANAGE_ORGANIZATION):
        return ""
    return f"{reverse(name, args=[principal.organization_name])}?{urlencode({'q': text})}"
