"""Facts of collections for a list: rows, indexes, load state, partitions and aliases.

Unlike `schema.describe`, which needs the whole content, a fact that cannot be read is left out.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, TypeVar

from pymilvus.grpc_gen import common_pb2, milvus_pb2

from backups.milvus.answers import checked_count, require_few_parts
from backups.milvus.client import Client, mapping
from backups.milvus.errors import MilvusError

T = TypeVar("T")

PARALLEL_COLLECTIONS = 8
"""Below the places that an embedded server has for the console."""
MAX_TEXT = 255
_LOAD_STATES = {
    common_pb2.LoadStateLoaded: "LOADED",
    common_pb2.LoadStateLoading: "LOADING",
    common_pb2.LoadStateNotLoad: "NOT_LOADED",
}
_INDEX_STATES = {
    common_pb2.IndexState.Unissued: "WAITING",
    common_pb2.IndexState.InProgress: "IN_PROGRESS",
    common_pb2.IndexState.Finished: "FINISHED",
    common_pb2.IndexState.Failed: "FAILED",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexFacts:
    field_name: str
    index_type: str
    metric_type: str
    state: str
    indexed_rows: int
    total_rows: int

    @property
    def is_built(self) -> bool:
        return self.state == "FINISHED"

    @property
    def percent(self) -> int:
        return 100 * self.indexed_rows // self.total_rows if self.total_rows else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionFacts:
    """Facts of one collection. None: not read in time, or the server does not tell."""

    row_count: int | None = None
    load_state: str = "UNKNOWN"
    partition_count: int | None = None
    aliases: Sequence[str] | None = None
    indexes: Sequence[IndexFacts] | None = None


def read_facts(client: Client, names: Sequence[str], seconds: float) -> list[CollectionFacts]:
    """Read the facts of collections in the order of `names`, some in parallel, in at most about
    `seconds` altogether.
    """
    if not names:
        return []
    deadline = time.monotonic() + seconds
    with futures.ThreadPoolExecutor(min(PARALLEL_COLLECTIONS, len(names))) as readers:
        return list(readers.map(lambda name: _read(client, name, deadline), names))


def _read(client: Client, name: str, deadline: float) -> CollectionFacts:
    def known(read: Callable[[float], T]) -> T | None:
        left = deadline - time.monotonic()
        try:
            return read(left) if left > 0 else None
        except MilvusError:
            return None

    load_state = known(lambda left: client.load_state(name, seconds=left))
    return CollectionFacts(
        load_state=_LOAD_STATES.get(load_state, "UNKNOWN"),
        partition_count=known(
            lambda left: len(client.partitions(name, seconds=left).partition_names)
        ),
        aliases=known(lambda left: _aliases(client, name, left)),
        indexes=known(lambda left: _indexes(client, name, left)),
        row_count=known(lambda left: _row_count(client, name, load_state, left)),
    )


def _aliases(client: Client, name: str, seconds: float) -> list[str]:
    aliases = client.aliases(name, seconds=seconds)
    require_few_parts(aliases=aliases)
    return aliases


def _indexes(client: Client, name: str, seconds: float) -> list[IndexFacts]:
    indexes = client.indexes(name, seconds=seconds)
    require_few_parts(indexes=indexes)
    return [*map(_index, indexes)]


def _row_count(client: Client, name: str, load_state: int | None, seconds: float) -> int:
    """Count the rows. The statistics of other servers than the embedded one also contain deleted
    rows and omit unflushed ones, so that they are used only where a query cannot count.
    """
    is_loaded = load_state == common_pb2.LoadStateLoaded
    if is_loaded and not client.server().is_embedded:
        return client.count(name, seconds=seconds)
    request = milvus_pb2.GetCollectionStatisticsRequest(collection_name=name)
    stats = mapping(client.call("GetCollectionStatistics", request, seconds=seconds).stats)
    return checked_count(stats.get("row_count", ""))


def _index(index: Any) -> IndexFacts:
    params = mapping(index.params)
    return IndexFacts(
        field_name=index.field_name[:MAX_TEXT],
        index_type=params.get("index_type", "")[:MAX_TEXT],
        metric_type=params.get("metric_type", "")[:MAX_TEXT],
        state=_INDEX_STATES.get(index.state, "UNKNOWN"),
        indexed_rows=index.indexed_rows,
        total_rows=index.total_rows,
    )
