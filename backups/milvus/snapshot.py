"""Several collections at one instant: a snapshot, a read timestamp, or a warning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pymilvus.grpc_gen import common_pb2, milvus_pb2

from backups.archive.description import CollectionDescription
from backups.milvus import keys
from backups.milvus.client import Client, pairs
from backups.milvus.errors import MilvusError
from backups.milvus.pinned import Pinned, PinnedScan
from backups.milvus.wire import iterator_params
from clusters.milvus_names import shown

_SECONDS = 1800.0
_NO_INSTANT = (
    "This server has neither snapshots nor read timestamps, so the backup is not from one instant. "
    "Rows written or deleted during the backup may be missing or present."
)


class SnapshotControl(Protocol):
    """Control service of a launcher, implemented by `clusters.drivers.embedded.client`."""

    def call(self, method: str, *, timeout_seconds: float = ..., **arguments: Any) -> Any: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Immutable files that exist until the snapshot is dropped."""

    name: str
    directory: Path
    created_at: str
    collections: tuple[Pinned, ...]

    def scans(self) -> list[PinnedScan]:
        return [PinnedScan(self.directory, pinned) for pinned in self.collections]

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{pinned['name']}: the partition name {shown(partition)} is no longer allowed. Its "
            "rows are in the backup as rows of _default."
            for pinned in self.collections
            for partition in pinned.get("moved_partitions", ())
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadTimestamp:
    """MVCC timestamp of all reads, or None with a warning if the server has no timestamps."""

    timestamp: int | None
    warnings: tuple[str, ...] = ()


class Snapshots:
    def __init__(self, control: SnapshotControl, root: Path, attempt: str = "") -> None:
        """`root` is the server's snapshot directory. The server does not report the directory,
        because a faulty cluster could name the files of another one.

        `attempt` is `<task id>-<epoch>`. The server refuses superseded attempts.
        """
        self._control = control
        self._root = root
        self._attempt = attempt

    def take(self, name: str, *, database: str, collections: Sequence[str]) -> Snapshot:
        """Pin the collections at one instant, or return the existing snapshot of this name."""
        answer = self._control.call(
            "CreateSnapshot",
            timeout_seconds=_SECONDS,
            name=name,
            database=database,
            collections=list(collections),
            attempt=self._attempt,
        )
        return self._snapshot(name, answer)

    def find(self, name: str) -> Snapshot | None:
        if name not in self.names():
            return None
        return self._snapshot(name, self._control.call("DescribeSnapshot", name=name))

    def names(self) -> list[str]:
        answer = self._control.call("ListSnapshots")
        names = answer.get("names") if isinstance(answer, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise MilvusError(
                "The cluster returned an invalid list of snapshots. Restart the cluster. If this "
                "persists, its process is faulty.",
                permanent=False,
            )
        return names

    def drop(self, name: str) -> None:
        """Drop a snapshot. A missing one is ignored."""
        self._control.call("DropSnapshot", timeout_seconds=_SECONDS, name=name)

    def _snapshot(self, name: str, answer: dict[str, Any]) -> Snapshot:
        return Snapshot(
            name=name,
            directory=self._root / name,
            created_at=answer["created_at"],
            collections=tuple(answer["collections"]),
        )


def pin_timestamp(client: Client, collections: Sequence[CollectionDescription]) -> ReadTimestamp:
    """Return a timestamp after all acknowledged writes, the same for all collections."""
    timestamp = _session_timestamp(client, collections[0]) if collections else 0
    if timestamp or not collections:
        return ReadTimestamp(timestamp=timestamp or None)
    return ReadTimestamp(timestamp=None, warnings=(_NO_INSTANT,))


def _session_timestamp(client: Client, collection: CollectionDescription) -> int:
    key = collection.primary_key
    request = milvus_pb2.QueryRequest(
        collection_name=collection.name,
        expr=keys.every(key),
        output_fields=[key.name],
        query_params=pairs(iterator_params(1)),
        consistency_level=common_pb2.Strong,
    )
    return int(client.call("Query", request, seconds=client.long_seconds).session_ts)
