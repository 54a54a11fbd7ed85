"""Find any object of any organization by id, name or address, for support staff."""

from __future__ import annotations

import dataclasses
import ipaddress
import uuid
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.models import User
from django.db.models import Manager, Q
from django.urls import reverse

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.protection.models import KnownCollection
from clusters.models import Cluster, Rollout
from vbase_console.core.admin_columns import address_of
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.tenancy import is_storable
from vbase_console.search.models import CollectionWord, SearchWord
from vbase_console.search.words import NameSearch, whole_name
from vbase_console.tasks.models import Task
from vbase_console.web.templatetags.console import words

MAX_RESULTS_PER_KIND = 10
MIN_LENGTH = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit:
    kind: str
    id: str
    name: str
    address: str
    organization: Organization | None
    is_exact: bool
    """True if the text is the whole id of this object."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchedKind:
    """Objects of one kind: the condition for a text, and the fields that a hit shows."""

    name: str
    rows: Manager[Any]
    condition: Callable[[str], Q]
    """Empty if no object of the kind can match."""
    ids: tuple[str, ...]
    """Fields with ids. The first one is shown."""
    title: Callable[[Any], str] = attrgetter("name")
    address: Callable[[Any], str] = address_of
    has_words: bool = False
    """True if the search index has the words of the names."""
    is_owned: bool = True
    """True if each object belongs to an organization."""

    def find(self, text: str, names: NameSearch) -> list[Any]:
        condition = self.condition(text)
        if self.has_words:
            return names.find(self.rows.all(), condition, MAX_RESULTS_PER_KIND)
        return list(self.rows.filter(condition)[:MAX_RESULTS_PER_KIND]) if condition else []

    def hit_of(self, row: Any, text: str, owners: Mapping[uuid.UUID, Organization]) -> Hit:
        ids = [str(getattr(row, name)) for name in self.ids]
        return Hit(
            kind=self.name,
            id=ids[0],
            name=self.title(row) or "—",
            address=self.address(row),
            organization=owners[row.organization_id] if self.is_owned else None,
            is_exact=text in ids,
        )


def search_everything(text: str) -> list[Hit]:
    """Return at most ten objects of each kind, with a constant number of statements.

    The organizations are read last, because of a join SQLite would read all of their rows.
    """
    text = text.strip()
    if len(text) < MIN_LENGTH or not is_storable(text):
        return []
    names = NameSearch(text, SearchWord.objects.all())
    found = [(kind, row) for kind in KINDS for row in kind.find(text, names)]
    owners = Organization.objects.in_bulk(
        {row.organization_id for kind, row in found if kind.is_owned}
    )
    return [kind.hit_of(row, text, owners) for kind, row in found]


def only_exact(hits: list[Hit]) -> Hit | None:
    """Return the object whose id was searched for."""
    exact = [hit for hit in hits if hit.is_exact]
    return exact[0] if len(exact) == 1 else None


def _uuid(text: str) -> Q:
    try:
        return Q(pk=uuid.UUID(text))
    except ValueError:
        return Q()


def _endpoint(text: str) -> Q:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    endpoint = Q(host__iexact=host)
    if port.isdecimal() and len(port) <= 5:
        endpoint &= Q(port=int(port))
    return endpoint


def _whole_name(text: str) -> Q:
    """Condition for collections of this name. The index of words begins with organizations."""
    everywhere = CollectionWord.objects.filter(organization__in=Organization.objects.values("pk"))
    return Q(pk__in=everywhere.filter(word=whole_name(text)).values("collection"))


def _network_address(text: str) -> Q:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return Q()
    return Q(ip_address=text)


def _story_of(cluster: Cluster) -> str:
    return reverse("admin-cluster-story", args=[cluster.pk])


KINDS = (
    SearchedKind(
        name="Organization",
        rows=Organization.objects,
        condition=lambda text: Q(name__istartswith=text) | _uuid(text),
        ids=("id",),
        is_owned=False,
    ),
    SearchedKind(
        name="Cluster",
        rows=Cluster.objects,
        has_words=True,
        condition=lambda text: Q(cluster_id=text) | Q(service_id=text) | _endpoint(text),
        ids=("cluster_id", "service_id"),
        address=_story_of,
    ),
    SearchedKind(
        name="Policy",
        rows=BackupPolicy.objects,
        has_words=True,
        condition=lambda text: Q(policy_id=text),
        ids=("policy_id",),
    ),
    SearchedKind(
        name="Backup",
        rows=Backup.objects,
        has_words=True,
        condition=lambda text: Q(backup_id=text),
        ids=("backup_id",),
    ),
    SearchedKind(
        name="Task or job",
        rows=Task.objects,
        condition=lambda text: Q(task_id=text),
        ids=("task_id",),
        title=lambda task: words(task.kind),
    ),
    SearchedKind(
        name="Collection",
        rows=KnownCollection.objects,
        condition=_whole_name,
        ids=("cluster_id",),
        title=lambda collection: f"{collection.db_name}.{collection.name}",
    ),
    SearchedKind(
        name="Rollout",
        rows=Rollout.objects,
        condition=lambda text: Q(rollout_id=text),
        ids=("rollout_id",),
        title=lambda rollout: f"Upgrade to {rollout.version}",
    ),
    SearchedKind(
        name="Person",
        rows=User.objects,
        condition=lambda text: Q(username__istartswith=text),
        ids=("username",),
        title=attrgetter("username"),
        is_owned=False,
    ),
    SearchedKind(
        name="API key",
        rows=ApiKey.objects,
        condition=lambda text: Q(prefix=text) | Q(name__istartswith=text),
        ids=("prefix",),
    ),
    SearchedKind(
        name="Failed sign-ins",
        rows=AccessAttempt.objects,
        condition=_network_address,
        ids=("ip_address",),
        title=attrgetter("username"),
        is_owned=False,
    ),
    SearchedKind(
        name="Sign-in",
        rows=AccessLog.objects,
        condition=_network_address,
        ids=("ip_address",),
        title=attrgetter("username"),
        is_owned=False,
    ),
)
