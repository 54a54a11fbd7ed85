"""Find any object of any organization by id, name or address, for support staff."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.urls import reverse

from backups.models import Backup
from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.tenancy import is_storable
from vbase_console.search.models import SearchWord
from vbase_console.search.words import NameSearch
from vbase_console.tasks.models import Task
from vbase_console.web.templatetags.console import words

MAX_RESULTS_PER_KIND = 10
MIN_LENGTH = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit:
    kind: str
    id: str
    name: str
    organization: str
    address: str


def search_everything(text: str) -> list[Hit]:
    """Return at most ten objects of each kind, with a constant number of statements."""
    text = text.strip()
    if len(text) < MIN_LENGTH or not is_storable(text):
        return []
    names = NameSearch(text, SearchWord.objects.all())
    return [hit for finder in FINDERS for hit in finder(text, names)]


def _found(names: NameSearch, rows: QuerySet[Any], exact: Q) -> list[Any]:
    """Search without a join to the organizations, by which SQLite would read all of their rows."""
    found = names.find(rows, exact, MAX_RESULTS_PER_KIND)
    organizations = Organization.objects.in_bulk({row.organization_id for row in found})
    for row in found:
        row.organization = organizations[row.organization_id]
    return found


def _organizations(text: str, _: NameSearch) -> Iterator[Hit]:
    condition = Q(name__istartswith=text)
    with contextlib.suppress(ValueError):
        condition |= Q(pk=uuid.UUID(text))
    for organization in Organization.objects.filter(condition)[:MAX_RESULTS_PER_KIND]:
        yield Hit(
            kind="Organization",
            id=str(organization.pk),
            name=organization.name,
            organization=organization.name,
            address=reverse("admin:organizations_organization_change", args=[organization.pk]),
        )


def _clusters(text: str, names: NameSearch) -> Iterator[Hit]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    endpoint = Q(host__iexact=host)
    if port.isdecimal() and len(port) <= 5:
        endpoint &= Q(port=int(port))
    exact = Q(cluster_id=text) | Q(service_id=text) | endpoint
    for cluster in _found(names, Cluster.objects.all(), exact):
        yield Hit(
            kind="Cluster",
            id=cluster.cluster_id,
            name=cluster.name,
            organization=cluster.organization.name,
            address=reverse("admin-cluster-story", args=[cluster.pk]),
        )


def _policies(text: str, names: NameSearch) -> Iterator[Hit]:
    for policy in _found(names, BackupPolicy.objects.all(), Q(policy_id=text)):
        yield Hit(
            kind="Policy",
            id=policy.policy_id,
            name=policy.name,
            organization=policy.organization.name,
            address=reverse("admin:policies_backuppolicy_change", args=[policy.pk]),
        )


def _backups(text: str, names: NameSearch) -> Iterator[Hit]:
    for backup in _found(names, Backup.objects.all(), Q(backup_id=text)):
        yield Hit(
            kind="Backup",
            id=backup.backup_id,
            name=backup.name,
            organization=backup.organization.name,
            address=reverse("admin:backups_backup_change", args=[backup.pk]),
        )


def _tasks(text: str, _: NameSearch) -> Iterator[Hit]:
    for task in Task.objects.filter(task_id=text).select_related("organization"):
        yield Hit(
            kind="Task" if task.id_prefix == "task" else "Job",
            id=task.task_id,
            name=words(task.kind),
            organization=task.organization.name,
            address=reverse("admin:tasks_task_change", args=[task.pk]),
        )


def _people(text: str, _: NameSearch) -> Iterator[Hit]:
    for user in User.objects.filter(username__istartswith=text)[:MAX_RESULTS_PER_KIND]:
        yield Hit(
            kind="Person",
            id=user.get_username(),
            name=user.get_full_name() or user.get_username(),
            organization="",
            address=reverse("admin:auth_user_change", args=[user.pk]),
        )


def _keys(text: str, _: NameSearch) -> Iterator[Hit]:
    keys = ApiKey.objects.filter(Q(prefix=text) | Q(name__istartswith=text))
    for key in keys.select_related("organization")[:MAX_RESULTS_PER_KIND]:
        yield Hit(
            kind="API key",
            id=key.prefix,
            name=key.name,
            organization=key.organization.name,
            address=reverse("admin:organizations_apikey_change", args=[key.pk]),
        )


def _addresses(text: str, _: NameSearch) -> Iterator[Hit]:
    """Find failed sign-ins from a network address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return
    attempts = AccessAttempt.objects.filter(ip_address=text).order_by("-attempt_time")
    for attempt in attempts[:MAX_RESULTS_PER_KIND]:
        yield Hit(
            kind="Failed sign-ins",
            id=text,
            name=attempt.username or "",
            organization="",
            address=reverse("admin:axes_accessattempt_change", args=[attempt.pk]),
        )


FINDERS: tuple[Callable[[str, NameSearch], Iterator[Hit]], ...] = (
    _organizations,
    _clusters,
    _policies,
    _backups,
    _tasks,
    _people,
    _keys,
    _addresses,
)
