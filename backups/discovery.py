"""What there is to back up, seen in the living cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from backups.archive.damage import ArchiveDamaged
from backups.connections import connect
from backups.milvus.errors import MilvusError, MilvusNotFound, NotLoaded, Refused
from backups.stores.base import StoreError
from clusters.admission import require_running, unfinished
from clusters.milvus_names import Kind, is_plain, is_reserved, refusal_of_any_server
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import FailedPrecondition, Unavailable
from vbase_console.core.errors import NotFound as NothingThere

if TYPE_CHECKING:
    from backups.milvus.client import Client

T = TypeVar("T")

DISCOVERY_TIMEOUT_SECONDS = 5.0
MAX_COUNTED_COLLECTIONS = 200
"""A page that counts every one of thousands of collections would make the cluster crawl."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoveredCollection:
    name: str
    rows: int | None
    """None where nobody counted."""


def asked(cluster: Cluster, requested: str, question: Callable[[], T]) -> T | None:
    """The answer of a cluster that runs. None where it cannot be asked because an accepted task
    starts, restarts or changes it: the job asks when that has ended. Raises `FailedPrecondition`,
    naming the task, where one stops it, and `Unavailable` where no task accounts for the silence.
    """
    if cluster.condition != Condition.RUNNING:
        return None
    before = unfinished(cluster)
    try:
        return question()
    except Unavailable:
        current = Cluster.objects.get(pk=cluster.pk)
        require_running(current, requested)
        if unfinished(current) or current.condition != Condition.RUNNING:
            return None
        if not before:
            raise
    return question()  # the change has ended meanwhile


def databases_of(cluster: Cluster) -> list[str]:
    with translate_errors(), connect(cluster, "default") as client:
        return sorted(client.databases())


def collections_of(cluster: Cluster, database: str) -> list[DiscoveredCollection]:
    """The tenant's collections, the first of them with their rows."""
    require_possible(database)
    with translate_errors(), connect(cluster, database) as client:
        _require_database(client.databases(), database)
        names = [name for name in client.collections() if not is_reserved(name)]
        counted = {name: _rows_in(client, name) for name in names[:MAX_COUNTED_COLLECTIONS]}
        return [DiscoveredCollection(name=name, rows=counted.get(name)) for name in names]


def _rows_in(client: Client, name: str) -> int | None:
    """Some servers count only what is loaded; and a collection may be dropped meanwhile."""
    try:
        return client.count(name)
    except (NotLoaded, MilvusNotFound):
        return None


def require_possible(database: str, names: Sequence[str] = ()) -> None:
    """Raise `NotFound`, without asking, for what no server calls a database or a collection."""
    if reason := refusal_of_any_server(Kind.DATABASE, database):
        raise NothingThere(f"There is no such database: {reason}")
    reasons = [refusal_of_any_server(Kind.COLLECTION, name) for name in names]
    if any(reasons):
        raise NothingThere(
            f"Database '{database}' has no such collection: {' '.join(filter(None, reasons))}"
        )


def require_database(cluster: Cluster, database: str) -> None:
    """Raise `NotFound` where it is not there, and `Unavailable` soon where nobody answers."""
    with translate_errors(), connect(cluster, database) as client:
        client.quick_seconds = DISCOVERY_TIMEOUT_SECONDS
        _require_database(client.databases(), database)


def require_collections(cluster: Cluster, database: str, names: Sequence[str]) -> None:
    """Raise `NotFound` naming the database, or every collection, that is not there."""
    with translate_errors(), connect(cluster, database) as client:
        _require_database(client.databases(), database)
        there = set(client.collections())
        missing = [name for name in names if name not in there]
        missing = [name for name in missing if not _has(client, name)]
    if missing:
        raise NothingThere(f"Database '{database}' has no collection {', '.join(missing)}.")


def _has(client: Client, name: str) -> bool:
    """Stricter servers refuse to look for a name that they would not give."""
    try:
        return client.has(name)
    except Refused:
        if is_plain(name):
            raise
        return False


def _require_database(there: Sequence[str], wanted: str) -> None:
    if wanted not in there:
        raise NothingThere(f"There is no database '{wanted}', only {', '.join(sorted(there))}.")


@contextmanager
def translate_errors() -> Iterator[None]:
    """A Milvus or a store that does not answer is said in the console's own words."""
    try:
        yield
    except MilvusNotFound as error:
        raise NothingThere(str(error)) from error
    except MilvusError as error:
        raise Unavailable(f"The cluster did not answer: {error}") from error
    except StoreError as error:
        raise Unavailable(f"The backup store did not answer: {error}") from error
    except ArchiveDamaged as error:
        raise FailedPrecondition(f"The backup is damaged, verify it: {error}") from error
