"""Databases and collections of a running cluster: names, and the facts of one page of them.

Modules that speak to Milvus are imported by the first request (ADR 0014).
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backups.connections import address_of, connect
from backups.discovery import (
    MAX_LISTING_BYTES,
    listing_of,
    require_possible,
    translate_errors,
)
from backups.names import DEFAULT_DATABASE
from backups.policies.observers import CollectionKey
from backups.protection.coverage import coverage_of
from backups.protection.models import CoverageState
from clusters.driver import capabilities_of
from clusters.drivers.base import DriverError
from clusters.drivers.embedded.answers import checked_counts
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from vbase_console.core.errors import FailedPrecondition

if TYPE_CHECKING:
    from backups.milvus.client import Client
    from backups.milvus.facts import CollectionFacts

LISTING_SECONDS = 5.0
FACTS_SECONDS = 8.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListedCollection:
    db_name: str
    name: str
    facts: CollectionFacts
    size_bytes: int | None
    """None if the server does not tell."""
    coverage: CoverageState


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterContents:
    """Names of the databases and collections of a cluster, in alphabetical order."""

    cluster: Cluster
    databases: Sequence[str] = ()
    keys: Sequence[CollectionKey] = ()
    client: Client | None = None
    """None for a cluster that contains nothing: it is deleted, or its driver stores no rows."""

    def read(
        self, keys: Sequence[CollectionKey], seconds: float = FACTS_SECONDS
    ) -> list[ListedCollection]:
        """Read the facts of some collections. Facts that are not read in time are left out."""
        if self.client is None:
            return []
        coverage = coverage_of(self.cluster.pk, keys)
        deadline = time.monotonic() + min(seconds, FACTS_SECONDS)
        names: dict[str, list[str]] = defaultdict(list)
        for database, name in keys:
            names[database].append(name)
        return [
            ListedCollection(
                db_name=database,
                name=name,
                facts=facts,
                size_bytes=size,
                coverage=coverage[database, name],
            )
            for database, of_database in names.items()
            for name, facts, size in _facts(
                self.cluster, self.client.in_database(database), of_database, deadline
            )
        ]


@contextmanager
def reading(cluster: Cluster, database: str = "") -> Iterator[ClusterContents]:
    """List the collections of one database, or of all. Raises FailedPrecondition unless the cluster
    runs, NotFound for a missing database, and Unavailable if the server does not answer.
    """
    if cluster.status == ServiceStatus.DELETED or not capabilities_of(cluster).stores_rows:
        yield ClusterContents(cluster=cluster)
        return
    require_readable(cluster)
    if database:
        require_possible(database)
    opened = connect(cluster, DEFAULT_DATABASE, max_answer_bytes=MAX_LISTING_BYTES)
    with translate_errors(), opened as client:
        listing = listing_of(client, LISTING_SECONDS, database)
        keys = sorted((db_name, name) for db_name, names in listing.items() for name in names)
        databases = sorted(listing)
        yield ClusterContents(cluster=cluster, databases=databases, keys=keys, client=client)


def require_readable(cluster: Cluster) -> None:
    """Raise FailedPrecondition unless the cluster runs and stores rows."""
    if not capabilities_of(cluster).stores_rows:
        raise FailedPrecondition(
            f"{cluster.service_id} has no collections: a cluster of the driver {cluster.driver} "
            "stores no rows."
        )
    if cluster.condition != Condition.RUNNING:
        raise FailedPrecondition(
            f"{cluster.service_id} is {cluster.status}. Its collections are read from the running "
            "server. Try again when it is RUNNING."
        )


def _facts(
    cluster: Cluster, client: Client, names: Sequence[str], deadline: float
) -> Iterator[tuple[str, CollectionFacts, int | None]]:
    from backups.milvus.facts import read_facts

    is_late = time.monotonic() > deadline
    sizes = {} if is_late else _sizes(cluster, client.endpoint.database, names)
    facts = read_facts(client, names, deadline - time.monotonic())
    return ((name, fact, sizes.get(name)) for name, fact in zip(names, facts, strict=True))


def _sizes(cluster: Cluster, database: str, names: Sequence[str]) -> Mapping[str, int]:
    """Return the bytes on disk, as far as the server tells. The server is not trusted."""
    if capabilities_of(cluster).is_operated_elsewhere:
        return {}
    control = address_of(cluster).control
    if control is None:
        return {}
    try:
        answer = control.call("CollectionSizes", database=database, collections=list(names))
    except DriverError:
        return {}
    return checked_counts(answer.get("bytes") if isinstance(answer, dict) else None, names)
