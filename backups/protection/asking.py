"""What a living cluster has, asked in so little time that one that hangs keeps nobody up."""

from __future__ import annotations

import time

from pymilvus.grpc_gen import milvus_pb2

from backups.hands import connected
from backups.looking import HIDDEN, answering
from backups.milvus.client import Client
from clusters.models import Cluster
from vbase_console.errors import Unavailable

Seen = dict[str, list[str]]
"""Of each database its collections; the console's own are left out."""

LONGEST_SECONDS = 5.0


def seen_in(cluster: Cluster) -> Seen:
    """Rows are not counted: on some servers that means reading them."""
    until = time.monotonic() + LONGEST_SECONDS
    with answering(), connected(cluster, "default") as client:
        client.quick_seconds = LONGEST_SECONDS
        return {name: _collections_of(client, name, until) for name in client.databases()}


def _collections_of(client: Client, database: str, until: float) -> list[str]:
    left = until - time.monotonic()
    if left <= 0:
        raise Unavailable(f"It did not list its collections within {LONGEST_SECONDS:.0f} s.")
    request = milvus_pb2.ShowCollectionsRequest(db_name=database)
    answer = client.call("ShowCollections", request, seconds=left)
    return sorted(name for name in answer.collection_names if not name.startswith(HIDDEN))
