"""The one instant that a backup is of, held in its cluster."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from django.utils import timezone

from backups import lending
from backups.archive.description import CollectionDescription
from backups.hands import snapshots_of
from backups.milvus import losses
from backups.milvus.client import Client
from backups.milvus.scan import Scan
from backups.milvus.schema import describe
from backups.milvus.snapshot import Snapshot, pin_timestamp
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from backups.wanted import wanted
from vbase_console.tasks.attempts import Attempt


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """What is read: the collections at one instant, and how truly."""

    scans: Sequence[Scan]
    captured_at: str
    method: str
    milvus_version: str
    warnings: tuple[str, ...]

    @property
    def collections(self) -> list[CollectionDescription]:
        return [scan.collection for scan in self.scans]


def pin(attempt: Attempt, job: BackupJob, client: Client) -> Source:
    attempt.report(1, "pinning", "Holding all collections at one instant.")
    snapshots = snapshots_of(job.cluster, attempt.name)
    version = client.server().version
    if snapshots is None:
        return _by_timestamp(attempt, job, client, version)
    earlier = attempt.task.checkpoint.get("snapshot", "")
    found = snapshots.find(earlier) if earlier else None
    if found is None:
        name = attempt.name
        names = wanted(attempt, job, client)
        attempt.guard()
        found = snapshots.take(name, database=job.db_name, collections=names)
        _begin_anew(attempt, job, snapshot=name)
    return _of_snapshot(found, client, version)


def _begin_anew(attempt: Attempt, job: BackupJob, **facts: str) -> None:
    """Parts of another instant are worth nothing in this one; their files go before the seal."""
    with attempt.fenced():
        job.backup.sealed_parts.all().delete()
        attempt.remember(**facts)


def _of_snapshot(snapshot: Snapshot, client: Client, version: str) -> Source:
    scans = snapshot.scans()
    return Source(
        scans=scans,
        captured_at=snapshot.created_at,
        method="snapshot",
        milvus_version=version,
        warnings=_losses(client, [scan.collection for scan in scans]),
    )


def _by_timestamp(attempt: Attempt, job: BackupJob, client: Client, version: str) -> Source:
    """Over the wire. A read timestamp outlives no attempt for certain, so each begins anew."""
    _begin_anew(attempt, job)
    described = [describe(client, name) for name in wanted(attempt, job, client)]
    collections = lending.readable(attempt, client, described)
    pinned = pin_timestamp(client, collections)
    return Source(
        scans=[WireScan(client, each, read_timestamp=pinned.timestamp) for each in collections],
        captured_at=timezone.now().isoformat(),
        method="timestamp" if pinned.timestamp else "none",
        milvus_version=version,
        warnings=(*pinned.warnings, *_losses(client, collections)),
    )


def _losses(client: Client, collections: Iterable[CollectionDescription]) -> tuple[str, ...]:
    server = client.server()
    lost = [losses.losses(server, each) for each in collections]
    return (*losses.forgotten(server), *itertools.chain.from_iterable(lost))
