"""Changes of a running cluster's contents: databases, and the load states of collections.

Every change is one call of the server. Call these services outside of transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backups.connections import connect
from backups.discovery import require_possible, translate_errors
from backups.names import DEFAULT_DATABASE
from clusters.admission import refuse_deleted
from clusters.milvus_names import Kind, is_reserved, refusal_of_any_server
from clusters.models import Cluster
from vbase_console.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from vbase_console.explorer.contents import require_readable

if TYPE_CHECKING:
    from backups.milvus.client import Client

LISTING_SECONDS = 5.0
CHANGE_SECONDS = 20.0


def create_database(cluster: Cluster, name: str) -> None:
    if reason := refusal_of_any_server(Kind.DATABASE, name):
        raise InvalidArgument(field_errors={"name": [reason]})
    with _changing(cluster, DEFAULT_DATABASE) as client:
        if name in client.databases():
            raise AlreadyExists(f"Database '{name}' exists already.")
        client.create_database(name)


def drop_database(cluster: Cluster, name: str) -> None:
    """Drop an empty database. Collections of the console count: a restore may be writing them."""
    require_possible(name)
    if name == DEFAULT_DATABASE:
        raise FailedPrecondition(f"Database '{name}' cannot be dropped. Every cluster has it.")
    with _changing(cluster, DEFAULT_DATABASE) as client:
        if name not in client.databases():
            raise NotFound(f"Database '{name}' not found.")
        collections = client.collections(name)
        if any(map(is_reserved, collections)):
            raise FailedPrecondition(f"A restore uses database '{name}'. Wait until it has ended.")
        if collections:
            plural = "" if len(collections) == 1 else "s"
            raise FailedPrecondition(
                f"Database '{name}' contains {len(collections)} collection{plural}. Drop its "
                "collections with an SDK first."
            )
        client.drop_database(name)


def load_collection(cluster: Cluster, database: str, name: str) -> None:
    from backups.milvus.create import load_whole

    with _changing_collection(cluster, database, name) as client:
        load_whole(client, name, seconds=CHANGE_SECONDS)


def release_collection(cluster: Cluster, database: str, name: str) -> None:
    from backups.milvus.create import release

    with _changing_collection(cluster, database, name) as client:
        release(client, name, seconds=CHANGE_SECONDS)


@contextmanager
def _changing_collection(cluster: Cluster, database: str, name: str) -> Iterator[Client]:
    require_possible(database, [name])
    if is_reserved(name):
        raise NotFound(f"Database '{database}' has no collection {name}.")
    with _changing(cluster, database) as client:
        if database not in client.databases():
            raise NotFound(f"Database '{database}' not found.")
        if not client.has(name):
            raise NotFound(f"Database '{database}' has no collection {name}.")
        yield client


@contextmanager
def _changing(cluster: Cluster, database: str) -> Iterator[Client]:
    """Connect for a change. Raises FailedPrecondition if the server refuses the change."""
    refuse_deleted(cluster)
    require_readable(cluster)
    from backups.milvus.errors import DiskFull, NotLoaded, NotOffered, Refused, TimedOut

    with translate_errors(), connect(cluster, database) as client:
        client.quick_seconds = LISTING_SECONDS
        try:
            yield client
        except (DiskFull, NotLoaded, NotOffered, Refused) as error:
            raise FailedPrecondition(str(error)) from error
        except TimedOut as error:
            raise Unavailable(
                f"The server did not answer within {CHANGE_SECONDS:.0f} s and may complete the "
                "change later. Read the collections again."
            ) from error
