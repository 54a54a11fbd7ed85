"""Job BACKUP: pin the collections at one instant, copy their rows into an archive, seal it.

Each sealed part is a row with the cursor after it. A later attempt continues after the last sealed
part as long as the snapshot exists.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator

import pyarrow as pa
from django.conf import settings

from backups.archive.codec import canonical_json
from backups.archive.layout import delete_archive
from backups.archive.leftovers import delete_unlisted_parts
from backups.archive.parts import Part
from backups.archive.writer import write_parts
from backups.capture import temporary_load
from backups.capture.access_control import with_access_control
from backups.capture.pinning import Source, pin
from backups.capture.rate_limit import RateLimit, rate_limit_of
from backups.capture.sealing import SEALED, RowCountMismatch, seal_archive
from backups.connections import connect, get_store, open_archive, snapshots_of
from backups.milvus.errors import MilvusError
from backups.milvus.scan import Scan, Scanned
from backups.models import Backup, BackupJob, SealedPart
from backups.stores.base import Guard, StoreError
from clusters.drivers.base import DriverError
from vbase_console.core.errors import ConsoleError
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

logger = logging.getLogger(__name__)


def capture(attempt: Attempt, job: BackupJob) -> None:
    """Write the archive of `job.backup` and record its content in the backup's row."""
    if not must_finish(attempt.task):
        connections = settings.BACKUP_CONNECTIONS
        with connect(job.cluster, job.db_name, attempt.name, connections=connections) as client:
            source = with_access_control(job, client, pin(attempt, job, client))
            attempt.release_lock()
            mismatches = _copy(attempt, job.backup, source)
        seal_archive(attempt, job, source, mismatches)
    if attempt.task.epoch > 1:
        _delete_unlisted_or_log(job.backup)
    _clean_up_or_log(job)


def must_finish(task: Task) -> bool:
    """Return True once the manifest is in the store, because the backup is complete then."""
    return SEALED in task.checkpoint


def _delete_unlisted_or_log(backup: Backup) -> None:
    """Delete parts that an earlier attempt published but did not record before it ended, or leave
    them to the janitor, because the backup is complete.
    """
    backup.refresh_from_db(fields=["manifest_sha256"])
    try:
        delete_unlisted_parts(get_store(), backup.directory, open_archive(backup).manifest)
    except StoreError as error:
        logger.warning(
            "%s: unlisted parts not deleted, the janitor will retry: %s", backup.backup_id, error
        )


def undo(job: BackupJob, guard: Guard) -> None:
    """Delete the archive, the snapshots and the temporary loads of the job."""
    guard()
    delete_archive(get_store(), job.backup.directory)
    _clean_up_or_log(job)


def clean_up(job: BackupJob) -> None:
    """Drop the snapshots and release the temporary loads of every attempt of this job."""
    snapshots = snapshots_of(job.cluster)
    if snapshots is not None:
        for name in snapshots.names():
            if name.startswith(f"{job.task.task_id}-"):
                snapshots.drop(name)
    temporary_load.release_all(job)
    BackupJob.objects.filter(pk=job.pk).update(is_cleaned_up=True)


def _clean_up_or_log(job: BackupJob) -> None:
    """Clean up, or log the problem and leave the cleanup to the janitor, because a snapshot costs
    only disk space.
    """
    try:
        clean_up(job)
    except (MilvusError, DriverError, ConsoleError) as error:
        logger.warning(
            "%s: snapshot not dropped, the janitor will retry: %s", job.task.task_id, error
        )


# -- copy -----------------------------------------------------------------------------------------


def _copy(attempt: Attempt, backup: Backup, source: Source) -> list[RowCountMismatch]:
    total = sum(scan.rows() for scan in source.scans)
    progress = _CopyProgress(attempt, total)
    limit = rate_limit_of(attempt)
    mismatches = []
    for number, scan in enumerate(source.scans, start=1):
        name = scan.collection.name
        label = f"collection {number} of {len(source.scans)} ({name})"
        given = _copy_collection(attempt, backup, scan, progress, limit, label)
        counted = source.counts[name] if name in source.counts else scan.rows()
        if given != counted:
            mismatches.append(RowCountMismatch(collection=name, counted=counted, given=given))
    return mismatches


def _copy_collection(
    attempt: Attempt,
    backup: Backup,
    scan: Scan,
    progress: _CopyProgress,
    limit: RateLimit,
    label: str,
) -> int:
    """Copy the remaining rows of a collection. Returns the rows read by all attempts."""
    sealed = [row for row in backup.sealed_parts.all() if row.collection == scan.collection.name]
    parts = [row.part for row in sealed]
    rows = sum(part.rows for part in parts)
    progress.add(rows, label)
    scanned = scan.batches(sealed[-1].cursor if sealed else None)
    copied = _CopiedRows(scanned, progress, limit, label)
    for partition, batches in itertools.groupby(copied, key=lambda scanned: scanned.partition):
        written = write_parts(
            get_store(),
            backup.directory,
            scan.collection,
            partition or scan.collection.partitions[0],
            copied.batches_of(batches),
            sealed=parts,
            fenced=attempt.fenced,
            guard=attempt.safe_point_now,
            throttle=limit.stored,
        )
        for part in written:
            _record_part(attempt, backup, part, copied.cursor)
            rows += part.rows
    return rows


def _record_part(attempt: Attempt, backup: Backup, part: Part, cursor: str) -> None:
    with attempt.fenced():
        SealedPart.objects.create(
            backup=backup,
            number=backup.sealed_parts.count(),
            collection=part.collection,
            cursor=cursor,
            part_json=canonical_json(part.to_json()).decode(),
        )


class _CopiedRows:
    """A scan that reports progress, can be cancelled between two batches, and has a cursor."""

    def __init__(
        self, scan: Iterator[Scanned], progress: _CopyProgress, limit: RateLimit, label: str
    ) -> None:
        self._scan = scan
        self._progress = progress
        self._limit = limit
        self._label = label
        self.cursor = ""

    def __iter__(self) -> Iterator[Scanned]:
        for scanned in self._scan:
            self._progress.add(scanned.batch.num_rows, self._label)
            self._limit.read(scanned.batch.nbytes)
            yield scanned

    def batches_of(self, group: Iterable[Scanned]) -> Iterator[pa.RecordBatch]:
        """Yield the batches and advance the cursor with them. `__iter__` cannot advance it, because
        `groupby` reads the first batch of the next partition ahead, which is in no part yet.
        """
        for scanned in group:
            self.cursor = scanned.cursor
            yield scanned.batch


class _CopyProgress:
    """Progress of the copy phase: 5 to 95 percent of the job."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._total = total
        self._done = 0

    def add(self, rows: int, label: str) -> None:
        self._done += rows
        percent = 5 + 90 * self._done // max(1, self._total)
        message = f"Copied {self._done} of {self._total} rows; {label}."
        self._attempt.safe_point_now()
        self._attempt.report(percent, "copying", message)
