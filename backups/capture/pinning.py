"""Phase *pinning*: fix the instant of a backup in its cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from backups.archive.access_control import AccessControl
from backups.archive.description import CollectionDescription
from backups.capture.rate_limit import bytes_per_second
from backups.capture.selection import select_collections
from backups.capture.wire_snapshot import (
    database_properties,
    load_or_create_read_point,
    restart_capture,
)
from backups.connections import snapshots_of
from backups.milvus import losses
from backups.milvus.client import Client
from backups.milvus.scan import Scan
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt

NO_INSTANT = "none"
"""The method for a server without snapshots and timestamps."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """The collections to read at one instant, and the limits of reading them."""

    scans: Sequence[Scan]
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Rows of the collections that were counted when the instant was pinned."""
    captured_at: str
    method: str
    milvus_version: str
    database_properties: Mapping[str, str] | None
    access_control: AccessControl | None = None
    warnings: tuple[str, ...]

    @property
    def collections(self) -> list[CollectionDescription]:
        return [scan.collection for scan in self.scans]


def pin(attempt: Attempt, job: BackupJob, client: Client) -> Source:
    """Reuse the snapshot or read point of an earlier attempt, or create one."""
    attempt.report(1, "pinning", "Pinning all collections at one instant.")
    snapshots = snapshots_of(job.cluster, attempt.name)
    version = client.server().version
    if snapshots is None:
        return _over_the_wire(attempt, job, client, version)
    earlier_name = attempt.task.checkpoint.get("snapshot", "")
    snapshot = snapshots.find(earlier_name) if earlier_name else None
    if snapshot is None:
        names = select_collections(attempt, job, client)
        attempt.guard()
        snapshot = snapshots.take(attempt.name, database=job.db_name, collections=names)
        restart_capture(attempt, job, client, snapshot=attempt.name)
    scans = snapshot.scans()
    return Source(
        scans=scans,
        captured_at=snapshot.created_at,
        method="snapshot",
        milvus_version=version,
        database_properties=database_properties(attempt),
        warnings=(*snapshot.warnings, *_losses(client, [scan.collection for scan in scans])),
    )


def _over_the_wire(attempt: Attempt, job: BackupJob, client: Client, version: str) -> Source:
    read_point = load_or_create_read_point(attempt, job, client)
    timestamp, collections = read_point.timestamp, read_point.collections
    return Source(
        scans=[
            WireScan(
                client,
                collection,
                read_timestamp=timestamp,
                max_bytes=bytes_per_second(),
            )
            for collection in collections
        ],
        counts=read_point.counts,
        captured_at=read_point.captured_at,
        method="timestamp" if timestamp else NO_INSTANT,
        milvus_version=version,
        database_properties=database_properties(attempt),
        warnings=(*read_point.warnings, *_losses(client, collections)),
    )


def _losses(client: Client, collections: Iterable[CollectionDescription]) -> tuple[str, ...]:
    server = client.server()
    texts = [
        text
        for collection in collections
        for text in (*losses.losses(server, collection), *losses.refusals(server, collection))
    ]
    return (*losses.forgotten(server), *texts)
