"""Phase *sealing*: write the manifest and record its content in the backup's row."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from backups.archive.manifest import Capture, Manifest, manifest_sha256, serialize
from backups.archive.reader import ArchiveReader
from backups.archive.writer import seal
from backups.capture.contents import content_columns
from backups.capture.pinning import NO_INSTANT, Source
from backups.capture.selection import omissions_of
from backups.connections import get_store
from backups.models import Backup, BackupJob
from backups.stores.base import ObjectExists
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

SEALED = "sealed"
"""Checkpoint key: SHA-256 of the manifest in the store."""
SEALING = "sealing"
"""Checkpoint key: omissions of each manifest that an attempt was about to write, by its SHA-256."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowCountMismatch:
    """A collection whose row count on the server differs from the rows that were read."""

    collection: str
    counted: int
    given: int

    def __str__(self) -> str:
        return (
            f"Collection {self.collection}: the server counts {self.counted} rows and returned "
            f"{self.given}."
        )


def seal_archive(
    attempt: Attempt, job: BackupJob, source: Source, mismatches: Sequence[RowCountMismatch] = ()
) -> None:
    backup = job.backup
    attempt.report(96, "sealing", "Writing the manifest.")
    attempt.safe_point_now()
    parts = [row.part for row in backup.sealed_parts.all()]
    manifest = Manifest.of(
        backup_id=backup.backup_id,
        organization_id=str(backup.organization_id),
        capture=Capture(
            database=job.db_name,
            captured_at=source.captured_at,
            method=source.method,
            milvus_version=source.milvus_version,
            service_id=job.cluster.service_id,
            cluster_id=job.cluster.cluster_id,
            warnings=(*source.warnings, *omissions_of(job), *map(str, mismatches)),
            database_properties=source.database_properties,
        ),
        collections=source.collections,
        parts=parts,
        access_control=source.access_control,
    )
    _announce(attempt, manifest, _omissions(job, manifest.capture, mismatches))
    sealed, sha256 = _write_manifest(attempt, backup, manifest)
    with attempt.fenced():
        _record_content(job, sealed, sha256, attempt.task.checkpoint[SEALING][sha256])
        attempt.save_checkpoint(**{SEALED: sha256})


def _announce(attempt: Attempt, manifest: Manifest, omissions: Sequence[str]) -> None:
    """Save the hash of the manifest before it is written, with the omissions of the backup."""
    announced = attempt.task.checkpoint.get(SEALING, {})
    sha256 = manifest_sha256(serialize(manifest))
    attempt.save_checkpoint(**{SEALING: {**announced, sha256: list(omissions)}})


def _write_manifest(attempt: Attempt, backup: Backup, manifest: Manifest) -> tuple[Manifest, str]:
    """Write the manifest, in a transaction only if the store publishes at once. Returns the
    manifest in the store and its SHA-256.

    A different manifest that was announced is whole: it is of an attempt that ended before it
    recorded its manifest. It is not replaced, because a request to delete it may arrive late.
    """
    store = get_store()
    fenced = attempt.fenced if store.publishes_at_once else contextlib.nullcontext
    try:
        with fenced():
            return manifest, seal(store, backup.directory, manifest, guard=attempt.guard)
    except ObjectExists:
        earlier = ArchiveReader(store, backup.directory)
        if earlier.manifest_sha256 not in attempt.task.checkpoint[SEALING]:
            raise
        return earlier.manifest, earlier.manifest_sha256


def _record_content(
    job: BackupJob, manifest: Manifest, sha256: str, omissions: Sequence[str]
) -> None:
    """Copy the content shown in lists to the rows. The status changes when the task ends."""
    Backup.objects.filter(pk=job.backup_id).update(
        omissions=list(omissions), **content_columns(manifest, sha256)
    )
    BackupJob.objects.filter(pk=job.pk).update(row_count=manifest.rows, size_bytes=manifest.bytes)
    Task.objects.filter(pk=job.task_id).update(warnings=list(manifest.capture.warnings))


def _omissions(
    job: BackupJob, capture: Capture, mismatches: Sequence[RowCountMismatch]
) -> list[str]:
    """List missing collections and rows.

    Without a common instant, row counts prove nothing, because rows may have been written since.
    The missing instant is listed instead. More rows than counted are no omission: the surplus rows
    have expired since they were read.
    """
    if capture.method == NO_INSTANT:
        return [*omissions_of(job), "The rows are not from one instant."]
    fewer = (mismatch for mismatch in mismatches if mismatch.given < mismatch.counted)
    return [*omissions_of(job), *map(str, fewer)]
