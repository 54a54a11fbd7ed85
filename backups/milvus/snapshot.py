"""Several collections at one instant: a snapshot, a pinned read timestamp, or a word of warning."""

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
    "This server has neither snapshots nor read timestamps, so the backup is not of one instant: "
    "rows written or deleted while it was made may be missing or present."
)


class SnapshotControl(Protocol):
    """The launcher's control service; `clusters.drivers.embedded.client.ControlClient` is one."""

    def call(self, method: str, *, timeout_seconds: float = ..., **arguments: Any) -> Any: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Files that nobody changes any more, until the snapshot is dropped."""

    name: str
    directory: Path
    created_at: str
    collections: tuple[Pinned, ...]

    def scans(self) -> list[PinnedScan]:
        return [PinnedScan(self.directory, pinned) for pinned in self.collections]

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{pinned['name']}: no partition may be called {shown(partition)} any more; its rows "
            "are in the backup as rows of _default."
            for pinned in self.collections
            for partition in pinned.get("moved_partitions", ())
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadTimestamp:
    """The instant that all reads are pinned to; None, with a warning, where there is none."""

    timestamp: int | None
    warnings: tuple[str, ...] = ()


class Snapshots:
    """The console's snapshots of one cluster."""

    def __init__(self, control: SnapshotControl, root: Path, attempt: str = "") -> None:
        """`root`: the directory that the server keeps them in. The server is not asked for it,
        because a cluster at fault could name the files of another one.

        `attempt`: `<task id>-<number>`; the server refuses an older one than it has seen.
        """
        self._control = control
        self._root = root
        self._attempt = attempt

    def take(self, name: str, *, database: str, collections: Sequence[str]) -> Snapshot:
        """Of all these at one instant; the same name again gives what is there already."""
        found = self._control.call(
            "CreateSnapshot",
            timeout_seconds=_SECONDS,
            name=name,
            database=database,
            collections=list(collections),
            attempt=self._attempt,
        )
        return self._snapshot(name, found)

    def find(self, name: str) -> Snapshot | None:
        """What an earlier attempt has pinned, if it is still there."""
        if name not in self.names():
            return None
        return self._snapshot(name, self._control.call("DescribeSnapshot", name=name))

    def names(self) -> list[str]:
        answer = self._control.call("ListSnapshots")
        names = answer.get("names") if isinstance(answer, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise MilvusError(
                "The cluster did not list its snapshots as one does. Restart it; if this stays, "
                "its process is at fault.",
                permanent=False,
            )
        return names

    def drop(self, name: str) -> None:
        """What is gone already is dropped, too."""
        self._control.call("DropSnapshot", timeout_seconds=_SECONDS, name=name)

    def _snapshot(self, name: str, found: dict[str, Any]) -> Snapshot:
        return Snapshot(
            name=name,
            directory=self._root / name,
            created_at=found["created_at"],
            collections=tuple(found["collections"]),
        )


def pin_timestamp(client: Client, collections: Sequence[CollectionDescription]) -> ReadTimestamp:
    """An instant after everything acknowledged so far, the same for all collections."""
    timestamp = _session_timestamp(client, collections[0]) if collections else 0
    if timestamp or not collections:
        return ReadTimestamp(timestamp=timestamp or None)
    return ReadTimestamp(timestamp=None, warnings=(_NO_INSTANT,))


def _session_timestamp(client: Client, collection: CollectionDescription) -> int:
    """Servers that have one tell it to whoever begins to iterate."""
    key = collection.primary_key
    request = milvus_pb2.QueryRequest(
        collection_name=collection.name,
        expr=keys.every(key),
        output_fields=[key.name],
        query_params=pairs(iterator_params(1)),
        consistency_level=common_pb2.Strong,
    )
    return int(client.call("Query", request, seconds=client.long_seconds).session_ts)
