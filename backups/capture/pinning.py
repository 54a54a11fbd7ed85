"""The one instant that a backup is of, held in its cluster."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from backups.archive.description import CollectionDescription
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
from backups.milvus.snapshot import Snapshot
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt

NO_INSTANT = "none"
"""The method of a server that can hold none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """What is read: the collections at one instant, and how truly."""

    scans: Sequence[Scan]
    captured_at: str
    method: str
    milvus_version: str
    database_properties: Mapping[str, str] | None
    warnings: tuple[str, ...]

    @property
    def collections(self) -> list[CollectionDescription]:
        return [scan.collection for scan in self.scans]


def pin(attempt: Attempt, job: BackupJob, client: Client) -> Source:
    attempt.report(1, "pinning", "Holding all collections at one instant.")
    snapshots = snapshots_of(job.cluster, attempt.name)
    version = client.server().version
    if snapshots is None:
        return _over_the_wire(attempt, job, client, version)
    earlier = attempt.task.checkpoint.get("snapshot", "")
    found = snapshots.find(earlier) if earlier else None
    if found is None:
        name = attempt.name
        names = select_collections(attempt, job, client)
        attempt.guard()
        found = snapshots.take(name, database=job.db_name, collections=names)
        restart_capture(attempt, job, client, snapshot=name)
    return _of_snapshot(attempt, found, client, version)


def _of_snapshot(attempt: Attempt, snapshot: Snapshot, client: Client, version: str) -> Source:
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
    held = load_or_create_read_point(attempt, job, client)
    return Source(
        scans=[WireScan(client, each, read_timestamp=held.timestamp) for each in held.collections],
        captured_at=held.captured_at,
        method="timestamp" if held.timestamp else NO_INSTANT,
        milvus_version=version,
        database_properties=database_properties(attempt),
        warnings=(*held.warnings, *_losses(client, held.collections)),
    )


def _losses(client: Client, collections: Iterable[CollectionDescription]) -> tuple[str, ...]:
    server = client.server()
    lost = [(*losses.losses(server, each), *losses.refusals(server, each)) for each in collections]
    return (*losses.forgotten(server), *itertools.chain.from_iterable(lost))
