"""Databases and collections of a running cluster."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from backups.archive.damage import ArchiveDamaged
from backups.connections import connect
from backups.milvus.errors import (
    MilvusError,
    MilvusNotFound,
    NotLoaded,
    NotPermitted,
    Refused,
)
from backups.names import DEFAULT_DATABASE
from backups.states import JobKind
from backups.stores.base import StoreError
from clusters.admission import require_running, unfinished
from clusters.drivers.base import DriverError
from clusters.milvus_names import Kind, is_plain, is_reserved, refusal_of_any_server
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import ConsoleError, FailedPrecondition, NotFound, Unavailable

if TYPE_CHECKING:
    from backups.milvus.client import Client

T = TypeVar("T")
Listing = dict[str, list[str]]
"""Database → names of its collections, without reserved ones."""

DISCOVERY_TIMEOUT_SECONDS = 5.0
MAX_LISTING_BYTES = 16 * 1024 * 1024
"""Size of an answer that lists names. It is held by the process of the web and of sweeps."""
MAX_LISTED_COLLECTIONS = 100_000
"""Milvus stores at most 65,536 in all databases together."""
MAX_NAMED_DATABASES = 20
"""Databases that an error names."""
MAX_COUNTED_COLLECTIONS = 200
"""Limit of counted collections, because counting thousands slows the cluster down."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoveredCollection:
    name: str
    rows: int | None
    """None if the rows were not counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoveryResult:
    """Databases and collections of a cluster, or the error that prevented reading them."""

    databases: list[str] = dataclasses.field(default_factory=list)
    collections: list[DiscoveredCollection] | None = None
    error: ConsoleError | None = None


def discover(cluster: Cluster, database: str) -> DiscoveryResult:
    databases: list[str] = []
    try:
        require_running(cluster, JobKind.BACKUP)
        databases = databases_of(cluster)
        return DiscoveryResult(databases=databases, collections=collections_of(cluster, database))
    except ConsoleError as error:
        return DiscoveryResult(databases=databases, error=error)


def query_cluster(cluster: Cluster, requested: str, query: Callable[[], T]) -> T | None:
    """Run `query` against a running cluster.

    Returns None if an accepted task starts, restarts or changes the cluster; the job queries it
    later. Raises FailedPrecondition if a task stops the cluster, and Unavailable if the cluster
    does not answer and no task is the reason.
    """
    if cluster.condition != Condition.RUNNING:
        return None
    before = unfinished(cluster)
    try:
        return query()
    except Unavailable:
        current = Cluster.objects.get(pk=cluster.pk)
        require_running(current, requested)
        if unfinished(current) or current.condition != Condition.RUNNING:
            return None
        if not before:
            raise
    return query()  # the change has finished meanwhile


def databases_of(cluster: Cluster) -> list[str]:
    with translate_errors(), connect(cluster, DEFAULT_DATABASE) as client:
        return sorted(client.databases())


def collections_of(cluster: Cluster, database: str) -> list[DiscoveredCollection]:
    require_possible(database)
    with translate_errors(), connect(cluster, database) as client:
        require_database_in(client.databases(), database)
        names = [name for name in client.collections() if not is_reserved(name)]
        counts = {name: _row_count(client, name) for name in names[:MAX_COUNTED_COLLECTIONS]}
        return [DiscoveredCollection(name=name, rows=counts.get(name)) for name in names]


def collection_names_of(cluster: Cluster, database: str) -> list[str]:
    """List the collections of a database without counting. A missing database has none."""
    with translate_errors(), connect(cluster, database) as client:
        client.quick_seconds = DISCOVERY_TIMEOUT_SECONDS
        return list(client.collections()) if database in client.databases() else []


def listing_of(client: Client, seconds: float, database: str = "") -> Listing:
    """List the collections of one database, or of all, without counting rows, because some servers
    read all rows to count them. Raises NotFound for a missing database, and Unavailable after
    `seconds`.
    """
    deadline = time.monotonic() + seconds
    client.quick_seconds = seconds
    listing: Listing = {}
    listed = 0
    databases = client.databases()
    if database:
        require_database_in(databases, database)
    for name in [database] if database else databases:
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0:
            raise Unavailable(f"Milvus did not list its collections within {seconds:.0f} s.")
        names = client.collections(name, seconds=seconds_left)
        listing[name] = [collection for collection in names if not is_reserved(collection)]
        listed += len(names)
        if listed > MAX_LISTED_COLLECTIONS:
            raise Unavailable(
                f"The cluster has more than {MAX_LISTED_COLLECTIONS} collections, which the "
                "console does not list."
            )
    return listing


def _row_count(client: Client, name: str) -> int | None:
    """Returns None if the server counts loaded collections only, or the collection was dropped."""
    try:
        return client.count(name)
    except (NotLoaded, MilvusNotFound):
        return None


def require_possible(database: str, names: Sequence[str] = ()) -> None:
    """Raise NotFound for names that no server accepts, without a query."""
    if reason := refusal_of_any_server(Kind.DATABASE, database):
        raise NotFound(f"Database not found: {reason}")
    reasons = [refusal_of_any_server(Kind.COLLECTION, name) for name in names]
    if any(reasons):
        raise NotFound(
            f"Collection not found in database '{database}': {' '.join(filter(None, reasons))}"
        )


def require_database(cluster: Cluster, database: str) -> None:
    """Raise NotFound if the database is missing, and Unavailable if the cluster does not answer
    within `DISCOVERY_TIMEOUT_SECONDS`.
    """
    with translate_errors(), connect(cluster, database) as client:
        client.quick_seconds = DISCOVERY_TIMEOUT_SECONDS
        require_database_in(client.databases(), database)


def require_collections(cluster: Cluster, database: str, names: Sequence[str]) -> None:
    """Raise NotFound that names the missing database or all missing collections."""
    with translate_errors(), connect(cluster, database) as client:
        require_database_in(client.databases(), database)
        existing = set(client.collections())
        missing = [name for name in names if name not in existing]
        missing = [name for name in missing if not _has(client, name)]
    if missing:
        raise NotFound(f"Database '{database}' has no collection {', '.join(missing)}.")


def _has(client: Client, name: str) -> bool:
    """Some servers refuse a look-up of a name that they would not accept."""
    try:
        return client.has(name)
    except Refused:
        if is_plain(name):
            raise
        return False


def require_database_in(databases: Collection[str], name: str) -> None:
    if name not in databases:
        named = ", ".join(sorted(databases)[:MAX_NAMED_DATABASES])
        more = len(databases) - MAX_NAMED_DATABASES
        text = f"{named} and {more} more" if more > 0 else named
        raise NotFound(f"There is no database '{name}', only {text}.")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of Milvus, the store and the archive to errors of the console."""
    try:
        yield
    except MilvusNotFound as error:
        raise NotFound(str(error)) from error
    except DriverError as error:
        raise Unavailable(str(error)) from error
    except NotPermitted as error:
        raise FailedPrecondition(
            f"{error} Grant the privilege to the user of the cluster's token, or change the token."
        ) from error
    except MilvusError as error:
        raise Unavailable(f"The cluster did not answer: {error}") from error
    except StoreError as error:
        raise Unavailable(f"The backup store did not answer: {error}") from error
    except ArchiveDamaged as error:
        raise FailedPrecondition(f"The backup is damaged: {error}. Verify it.") from error
