"""Schema and first rows of one collection, within hard limits of time, rows and bytes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backups.connections import connect
from backups.discovery import require_possible, translate_errors
from clusters.admission import refuse_deleted
from clusters.milvus_names import is_reserved
from clusters.models import Cluster
from vbase_console.core.errors import FailedPrecondition, NotFound
from vbase_console.explorer.contents import (
    LISTING_SECONDS,
    ClusterContents,
    ListedCollection,
    require_readable,
)

if TYPE_CHECKING:
    from backups.archive.description import CollectionDescription
    from backups.milvus.client import Client

MAX_ROWS = 20
MAX_SECONDS = 5.0
MAX_BYTES = 2 * 1024 * 1024
MAX_CHARACTERS = 200
MAX_ELEMENTS = 8
"""Elements of a vector or an array that are shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstRows:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_reduced: bool
    """True if the bytes allowed fewer rows than `MAX_ROWS`."""


def describe_collection(
    cluster: Cluster, database: str, name: str
) -> tuple[CollectionDescription, ListedCollection]:
    """Return the schema of a collection, and what the list of collections tells of it."""
    with _reading(cluster, database, name) as client:
        description = _describe(client, name)
        (listed,) = ClusterContents(cluster=cluster, client=client).read([(database, name)])
        return description, listed


def first_rows(cluster: Cluster, database: str, name: str) -> FirstRows:
    """Read the first rows in the order of the server. Long values are cut."""
    with _reading(cluster, database, name) as client:
        from backups.milvus.decode import record_batch

        collection = _describe(client, name)
        answer, limit = _query(client, collection)
        batch = record_batch(answer.fields_data, collection)
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return FirstRows(
            columns=["dynamic fields" if f.is_dynamic else f.name for f in collection.columns],
            rows=[[shown(value) for value in row] for row in rows],
            is_reduced=limit < MAX_ROWS and batch.num_rows == limit,
        )


def shown(value: Any) -> str:
    """Return a value as text of bounded length."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value[:MAX_CHARACTERS].hex()
    if isinstance(value, list):
        more = f", … ({len(value)} elements)" if len(value) > MAX_ELEMENTS else ""
        return f"[{', '.join(_short(element) for element in value[:MAX_ELEMENTS])}{more}]"
    return _short(value)


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


@contextmanager
def _reading(cluster: Cluster, database: str, name: str) -> Iterator[Client]:
    refuse_deleted(cluster)
    require_readable(cluster)
    require_possible(database, [name])
    if is_reserved(name):
        raise NotFound(f"Database '{database}' has no collection {name}.")
    from backups.milvus.errors import NotLoaded, Refused

    with translate_errors(), connect(cluster, database, max_answer_bytes=MAX_BYTES) as client:
        client.quick_seconds = LISTING_SECONDS
        try:
            yield client
        except (NotLoaded, Refused) as error:
            raise FailedPrecondition(str(error)) from error


def _describe(client: Client, name: str) -> CollectionDescription:
    from backups.milvus.errors import UnsupportedFeature
    from backups.milvus.schema import describe

    try:
        return describe(client, name)
    except UnsupportedFeature as error:
        raise FailedPrecondition(f"The console cannot show this collection. {error}") from error


def _query(client: Client, collection: CollectionDescription) -> tuple[Any, int]:
    """Query the rows. While the answer is too large, fewer rows are requested."""
    from pymilvus.grpc_gen import milvus_pb2

    from backups.milvus.client import consistency, pairs
    from backups.milvus.errors import TooLarge

    deadline = time.monotonic() + MAX_SECONDS
    for limit in (MAX_ROWS, 5, 1):
        request = milvus_pb2.QueryRequest(
            collection_name=collection.name,
            output_fields=[field.name for field in collection.columns],
            query_params=pairs({"limit": str(limit), "ignore_growing": "False"}),
            **consistency(None),
        )
        seconds_left = max(0.1, deadline - time.monotonic())
        try:
            return client.call("Query", request, seconds=seconds_left), limit
        except TooLarge:
            continue
    raise FailedPrecondition(f"The first row is larger than {MAX_BYTES // 1024**2} MiB.")
