"""What a living cluster has, asked in so little time that one that hangs keeps nobody up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backups.hands import connected
from backups.looking import answering
from clusters.milvus_names import is_reserved
from clusters.models import Cluster
from vbase_console.errors import Unavailable

if TYPE_CHECKING:
    from backups.milvus.client import Client

Seen = dict[str, list[str]]
"""Of each database its collections; the console's own are left out."""

LONGEST_SECONDS = 5.0


def seen_in(cluster: Cluster) -> Seen:
    """Rows are not counted: on some servers that means reading them."""
    with answering(), connected(cluster, "default") as client:
        until = time.monotonic() + LONGEST_SECONDS
        client.quick_seconds = LONGEST_SECONDS
        return {name: _collections_of(client, name, until) for name in client.databases()}


def _collections_of(client: Client, database: str, until: float) -> list[str]:
    left = until - time.monotonic()
    if left <= 0:
        raise Unavailable(f"It did not list its collections within {LONGEST_SECONDS:.0f} s.")
    there = client.collections(database, seconds=left)
    return [name for name in there if not is_reserved(name)]
