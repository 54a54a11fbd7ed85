"""Collections into an archive: pin one instant, copy what is pinned, seal.

Any attempt goes on where the last one was: a part that is sealed stands as a row, with the place in
the snapshot behind it, and is not read again as long as that snapshot is there.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator

import pyarrow as pa

from backups.archive.codec import canonical_json
from backups.archive.layout import delete_archive
from backups.archive.parts import Part
from backups.archive.writer import Guard, write_parts
from backups.capture import temporary_load
from backups.capture.pinning import Source, pin
from backups.capture.sealing import SEALED, RowCountMismatch, seal_archive
from backups.connections import connect, get_store, snapshots_of
from backups.milvus.errors import MilvusError
from backups.milvus.scan import Scan, Scanned
from backups.models import Backup, BackupJob, SealedPart
from clusters.drivers.base import DriverError
from vbase_console.core.errors import ConsoleError
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

logger = logging.getLogger(__name__)


def capture(attempt: Attempt, job: BackupJob) -> None:
    """Write the archive of `job.backup`; what it holds is noted in the backup's row."""
    if not must_finish(attempt.task):
        with connect(job.cluster, job.db_name, attempt.name) as client:
            source = pin(attempt, job, client)
            attempt.release_lock()
            uneven = _copy(attempt, job.backup, source)
        seal_archive(attempt, job, source, uneven)
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
    temporary_load.release_all(job)
    BackupJob.objects.filter(pk=job.pk).update(is_cleaned_up=True)


def _tidy_if_possible(job: BackupJob) -> None:
    """A pin costs room and nothing else: if the cluster is away, the janitor drops it later."""
    try:
        tidy(job)
    except (MilvusError, DriverError, ConsoleError) as error:
        logger.warning("%s: its snapshot stays for now: %s", job.task.task_id, error)


# -- copy -----------------------------------------------------------------------------------------


def _copy(attempt: Attempt, backup: Backup, source: Source) -> list[RowCountMismatch]:
    total = sum(scan.rows() for scan in source.scans)
    progress = _CopyProgress(attempt, total)
    uneven = []
    for number, scan in enumerate(source.scans, start=1):
        where = f"collection {number} of {len(source.scans)} ({scan.collection.name})"
        given = _copy_collection(attempt, backup, scan, progress, where)
        counted = scan.rows()
        if given != counted:
            found = RowCountMismatch(collection=scan.collection.name, counted=counted, given=given)
            uneven.append(found)
    return uneven


def _copy_collection(
    attempt: Attempt, backup: Backup, scan: Scan, progress: _CopyProgress, where: str
) -> int:
    """How many rows of it all attempts have read."""
    sealed = [row for row in backup.sealed_parts.all() if row.collection == scan.collection.name]
    parts = [row.part for row in sealed]
    rows = sum(part.rows for part in parts)
    progress.add(rows, where)
    reading = _CopiedRows(scan.batches(sealed[-1].cursor if sealed else None), progress, where)
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
            rows += part.rows
    return rows


def _keep(attempt: Attempt, backup: Backup, part: Part, cursor: str) -> None:
    with attempt.fenced():
        SealedPart.objects.create(
            backup=backup,
            number=backup.sealed_parts.count(),
            collection=part.collection,
            cursor=cursor,
            part_json=canonical_json(part.to_json()).decode(),
        )


class _CopiedRows:
    """A scan that counts, can be stopped between two batches, and knows how far it is."""

    def __init__(self, scanned: Iterator[Scanned], progress: _CopyProgress, where: str) -> None:
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


class _CopyProgress:
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
