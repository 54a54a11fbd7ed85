"""Find objects of an organization by an exact id or by the prefixes of words of their names.

A search costs a bounded number of statements and rows, whatever it finds. Each kind needs the scope
of its list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.protection.models import KnownCollection
from backups.states import JobKind
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.core.errors import InvalidArgument
from vbase_console.organizations.models import Organization
from vbase_console.organizations.scopes import GET_CLUSTER, LIST_BACKUPS, LIST_SERVICES
from vbase_console.organizations.tenancy import Principal, is_storable
from vbase_console.search.models import CollectionWord, SearchWord
from vbase_console.search.words import NameSearch, whole_name
from vbase_console.tasks.models import Task

MAX_RESULTS = 20
MIN_LENGTH, MAX_LENGTH = 2, 100
MAX_NAMED = 1_000
"""Limit of collections with exactly the given name that are read, among them those of clusters that
are being deleted.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    kind: str
    """CLUSTER, BACKUP, POLICY, COLLECTION, TASK or JOB."""
    id: str
    name: str
    organization_id: str
    cluster_id: str
    """Empty for a backup or job whose cluster is unknown."""
    url: str
    place: str = ""
    """Database and cluster of a collection, for people."""


Finder = Callable[[Principal, str, NameSearch], Iterator[Found]]


def find(principal: Principal, text: str) -> list[Found]:
    """Return at most `MAX_RESULTS` objects that the principal may list: clusters, policies,
    backups, collections, then tasks. Raises InvalidArgument for a text that is too short or too
    long.
    """
    text = text.strip()
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise InvalidArgument(
            field_errors={"q": [f"Give {MIN_LENGTH} to {MAX_LENGTH} characters."]}
        )
    if not is_storable(text):
        return []
    if not principal.organization_name:  # a key knows its organization by id
        organization = Organization.objects.get(pk=principal.organization_id)
        principal = dataclasses.replace(principal, organization_name=organization.name)
    names = NameSearch(text, SearchWord.objects.visible_to(principal))
    results: list[Found] = []
    for scope, finder in FINDERS:
        if principal.may(scope):
            results += finder(principal, text, names)
    return results[:MAX_RESULTS]


def _clusters(principal: Principal, text: str, names: NameSearch) -> Iterator[Found]:
    rows = Cluster.objects.visible_to(principal).alive()
    exact = Q(cluster_id=text) | Q(service_id=text)
    for cluster in names.find(rows, exact, MAX_RESULTS):
        yield Found(
            kind="CLUSTER",
            id=cluster.cluster_id,
            name=cluster.name,
            organization_id=str(cluster.organization_id),
            cluster_id=cluster.cluster_id,
            url=_page(principal, "cluster-detail", cluster.cluster_id),
        )


def _policies(principal: Principal, text: str, names: NameSearch) -> Iterator[Found]:
    rows = BackupPolicy.objects.visible_to(principal)
    for policy in names.find(rows, Q(policy_id=text), MAX_RESULTS):
        yield Found(
            kind="POLICY",
            id=policy.policy_id,
            name=policy.name,
            organization_id=str(policy.organization_id),
            cluster_id=policy.cluster_id,
            url=_page(principal, "policy-detail", policy.policy_id),
        )


def _backups(principal: Principal, text: str, names: NameSearch) -> Iterator[Found]:
    rows = Backup.objects.visible_to(principal).present()
    for backup in names.find(rows, Q(backup_id=text) | Q(name=text), MAX_RESULTS):
        yield Found(
            kind="BACKUP",
            id=backup.backup_id,
            name=backup.name,
            organization_id=str(backup.organization_id),
            cluster_id=backup.cluster_id or "",
            url=_page(principal, "backup-detail", backup.name),
        )


def _collections(principal: Principal, text: str, _: NameSearch) -> Iterator[Found]:
    """Find known collections: by their whole name first, then by words."""
    words = CollectionWord.objects.visible_to(principal)
    named = words.filter(word=whole_name(text)).order_by().values_list("collection", flat=True)
    rows = KnownCollection.objects.living().visible_to(principal).select_related("cluster")
    rows = rows.order_by("name", "db_name", "cluster_id")
    search = NameSearch(text, words, key="collection")
    exact = Q(pk__in=set(named[:MAX_NAMED]))
    for collection in search.find(rows, exact, MAX_RESULTS, checks_newest=False):
        address = {"db_name": collection.db_name, "name": collection.name}
        page = _page(principal, "collection-detail", collection.cluster_id)
        yield Found(
            kind="COLLECTION",
            id=f"{collection.cluster_id}/{collection.db_name}/{collection.name}",
            name=collection.name,
            organization_id=str(collection.organization_id),
            cluster_id=collection.cluster_id,
            url=f"{page}?{urlencode(address)}",
            place=f"in {collection.db_name} of {collection.cluster.name}",
        )


def _tasks(principal: Principal, text: str, _: NameSearch) -> Iterator[Found]:
    tasks = Task.objects.visible_to(principal).filter(kind__in=TaskKind.values)
    yield from (_task(principal, task, "TASK") for task in tasks.filter(task_id=text))


def _jobs(principal: Principal, text: str, _: NameSearch) -> Iterator[Found]:
    jobs = Task.objects.visible_to(principal).filter(kind__in=JobKind.values)
    yield from (_task(principal, task, "JOB") for task in jobs.filter(task_id=text))


def _task(principal: Principal, task: Task, kind: str) -> Found:
    page = "task-detail" if kind == "TASK" else "job-detail"
    return Found(
        kind=kind,
        id=task.task_id,
        name=task.kind,
        organization_id=str(task.organization_id),
        cluster_id=task.quota_key,
        url=_page(principal, page, task.task_id),
    )


def _page(principal: Principal, name: str, key: str) -> str:
    return reverse(name, args=[principal.organization_name, key])


FINDERS: tuple[tuple[str, Finder], ...] = (
    (LIST_SERVICES, _clusters),
    (LIST_BACKUPS, _policies),
    (LIST_BACKUPS, _backups),
    (GET_CLUSTER, _collections),
    (GET_CLUSTER, _tasks),
    (LIST_BACKUPS, _jobs),
)
