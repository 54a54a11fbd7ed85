"""Collections into an archive: pin one instant, copy what is pinned, seal.

Any attempt goes on where the last one was: a part that is sealed stands as a row, with the place in
the snapshot behind it, and is not read again as long as that snapshot is there.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from django.utils import timezone

from backups import lending
from backups.archive.description import CollectionDescription
from backups.archive.manifest import Capture, Manifest
from backups.archive.parts import Part
from backups.archive.writer import Guard, delete_archive, seal, write_parts
from backups.hands import connected, get_store, snapshots_of
from backups.milvus import losses
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.milvus.scan import Scan, Scanned
from backups.milvus.schema import describe
from backups.milvus.snapshot import Snapshot, pin_timestamp
from backups.milvus.wire import WireScan
from backups.models import Backup, BackupJob, SealedPart
from backups.wanted import missing_from, wanted
from clusters.drivers.base import DriverError
from vbase_console.errors import ConsoleError
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

logger = logging.getLogger(__name__)

SEALED = "sealed"
"""In a checkpoint: the hash of the manifest that is in the store."""


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


def capture(attempt: Attempt, job: BackupJob) -> None:
    """Write the archive of `job.backup`; what it holds is noted in the backup's row."""
    if not must_finish(attempt.task):
        with connected(job.cluster, job.db_name, attempt.name) as client:
            source = _pin(attempt, job, client)
            attempt.release_lock()
            _copy(attempt, job.backup, source)
        _seal(attempt, job, source)
    _tidy_if_possible(job)


def must_finish(task: Task) -> bool:
    """The manifest is in the store: it is a backup, whatever becomes of the cluster."""
    return SEALED in task.checkpoint


def undo(job: BackupJob, guard: Guard) -> None:
    """Leave neither files nor pins behind."""
    guard()
    delete_archive(get_store(), job.backup.directory)
    _tidy_if_possible(job)


def tidy(job: BackupJob) -> None:
    """Drop what any attempt of this job has pinned in the cluster, give back what it has loaded."""
    snapshots = snapshots_of(job.cluster)
    if snapshots is not None:
        for name in snapshots.names():
            if name.startswith(f"{job.task.task_id}-"):
                snapshots.drop(name)
    lending.return_all(job)
    BackupJob.objects.filter(pk=job.pk).update(is_tidy=True)


def _tidy_if_possible(job: BackupJob) -> None:
    """A pin costs room and nothing else: if the cluster is away, the janitor drops it later."""
    try:
        tidy(job)
    except (MilvusError, DriverError, ConsoleError) as error:
        logger.warning("%s: its snapshot stays for now: %s", job.task.task_id, error)


# -- pin ------------------------------------------------------------------------------------------


def _pin(attempt: Attempt, job: BackupJob, client: Client) -> Source:
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


# -- copy -----------------------------------------------------------------------------------------


def _copy(attempt: Attempt, backup: Backup, source: Source) -> None:
    total = sum(scan.rows() for scan in source.scans)
    progress = _Progress(attempt, total)
    for number, scan in enumerate(source.scans, start=1):
        where = f"collection {number} of {len(source.scans)} ({scan.collection.name})"
        _copy_collection(attempt, backup, scan, progress, where)


def _copy_collection(
    attempt: Attempt, backup: Backup, scan: Scan, progress: _Progress, where: str
) -> None:
    sealed = [row for row in backup.sealed_parts.all() if row.collection == scan.collection.name]
    parts = [Part.from_json(row.facts) for row in sealed]
    progress.add(sum(part.rows for part in parts), where)
    reading = _Reading(scan.batches(sealed[-1].cursor if sealed else None), progress, where)
    for partition, batches in itertools.groupby(reading, key=lambda each: each.partition):
        written = write_parts(
            get_store(),
            backup.directory,
            scan.collection,
            partition or scan.collection.partitions[0],
            reading.batches_of(batches),
            sealed=parts,
            fenced=attempt.fenced,
        )
        for part in written:
            _keep(attempt, backup, part, reading.cursor)


def _keep(attempt: Attempt, backup: Backup, part: Part, cursor: str) -> None:
    with attempt.fenced():
        SealedPart.objects.create(
            backup=backup,
            number=backup.sealed_parts.count(),
            collection=part.collection,
            cursor=cursor,
            facts=part.to_json(),
        )


class _Reading:
    """A scan that counts, can be stopped between two batches, and knows how far it is."""

    def __init__(self, scanned: Iterator[Scanned], progress: _Progress, where: str) -> None:
        self._scanned = scanned
        self._progress = progress
        self._where = where
        self.cursor = ""

    def __iter__(self) -> Iterator[Scanned]:
        for each in self._scanned:
            self._progress.add(each.batch.num_rows, self._where)
            yield each

    def batches_of(self, group: Iterable[Scanned]) -> Iterator[pa.RecordBatch]:
        """The cursor moves with what is handed on: to see that a partition has ended, `groupby`
        reads on into the next one, whose first batch is in no part yet.
        """
        for each in group:
            self.cursor = each.cursor
            yield each.batch


class _Progress:
    """Rows copied over rows to copy; 5 to 95 percent of the whole job."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._total = total
        self._done = 0

    def add(self, rows: int, where: str) -> None:
        self._done += rows
        percent = 5 + 90 * self._done // max(1, self._total)
        said = f"Copied {self._done} of {self._total} rows; {where}."
        self._attempt.safe_point_now()
        self._attempt.report(percent, "copying", said)


# -- seal -----------------------------------------------------------------------------------------


def _seal(attempt: Attempt, job: BackupJob, source: Source) -> None:
    backup = job.backup
    attempt.report(96, "sealing", "Writing the manifest.")
    attempt.safe_point_now()
    parts = [Part.from_json(row.facts) for row in backup.sealed_parts.all()]
    manifest = Manifest.of(
        backup_id=backup.backup_id,
        organization_id=str(backup.organization_id),
        capture=_facts(job, source),
        collections=source.collections,
        parts=parts,
    )
    _remove_unlisted(attempt, backup, parts)
    with attempt.fenced():
        sha256 = seal(get_store(), backup.directory, manifest, guard=attempt.guard)
        _note(job, manifest, sha256)
        attempt.remember(**{SEALED: sha256})


def _remove_unlisted(attempt: Attempt, backup: Backup, parts: Sequence[Part]) -> None:
    """Parts that an attempt published and did not live to write down."""
    listed = {f"{backup.directory}/{part.name}" for part in parts}
    for entry in list(get_store().list(backup.directory)):
        if entry.key not in listed:
            with attempt.fenced():  # a worker that was paused here must not delete a part of today
                get_store().delete(entry.key)


def _facts(job: BackupJob, source: Source) -> Capture:
    return Capture(
        database=job.db_name,
        captured_at=source.captured_at,
        method=source.method,
        milvus_version=source.milvus_version,
        service_id=job.cluster.service_id,
        cluster_id=job.cluster.cluster_id,
        warnings=(*source.warnings, *missing_from(job)),
    )


def _note(job: BackupJob, manifest: Manifest, sha256: str) -> None:
    """Copy from the manifest what lists show; the status follows when the task ends."""
    contents = [
        {
            "name": content.description.name,
            "rowCount": content.rows,
            "sizeBytes": content.bytes,
            "parts": len(content.parts),
        }
        for content in manifest.collections
    ]
    Backup.objects.filter(pk=job.backup_id).update(
        collections=contents,
        row_count=manifest.rows,
        size_bytes=manifest.bytes,
        milvus_version=manifest.capture.milvus_version,
        manifest_sha256=sha256,
        warnings=list(manifest.capture.warnings),
        missing=_missing(job, manifest.capture),
    )
    BackupJob.objects.filter(pk=job.pk).update(row_count=manifest.rows, size_bytes=manifest.bytes)
    Task.objects.filter(pk=job.task_id).update(warnings=list(manifest.capture.warnings))


def _missing(job: BackupJob, capture: Capture) -> list[str]:
    """Collections that had vanished; and one instant, where the server could give none."""
    no_instant = ["It is not of one instant."] if capture.method == "none" else []
    return [*missing_from(job), *no_instant]
