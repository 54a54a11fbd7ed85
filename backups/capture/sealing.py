"""The end of a backup: its manifest in the store, and what it says in the backup's row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from backups.archive.manifest import Capture, Manifest
from backups.archive.parts import Part
from backups.archive.writer import seal
from backups.capture.pinning import NO_INSTANT, Source
from backups.capture.selection import omissions_of
from backups.connections import get_store
from backups.models import Backup, BackupJob
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

SEALED = "sealed"
"""In a checkpoint: the hash of the manifest that is in the store."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowCountMismatch:
    """A collection of which the server counts other rows than it gave."""

    collection: str
    counted: int
    given: int

    def __str__(self) -> str:
        return (
            f"Of collection {self.collection} the server counts {self.counted} rows and gave "
            f"{self.given}."
        )


def seal_archive(
    attempt: Attempt, job: BackupJob, source: Source, uneven: Sequence[RowCountMismatch] = ()
) -> None:
    backup = job.backup
    attempt.report(96, "sealing", "Writing the manifest.")
    attempt.safe_point_now()
    parts = [row.part for row in backup.sealed_parts.all()]
    manifest = Manifest.of(
        backup_id=backup.backup_id,
        organization_id=str(backup.organization_id),
        capture=_facts(job, source, uneven),
        collections=source.collections,
        parts=parts,
    )
    _remove_unlisted(attempt, backup, parts)
    with attempt.fenced():
        sha256 = seal(get_store(), backup.directory, manifest, guard=attempt.guard)
        _note(job, manifest, sha256, uneven)
        attempt.save_checkpoint(**{SEALED: sha256})


def _remove_unlisted(attempt: Attempt, backup: Backup, parts: Sequence[Part]) -> None:
    """Parts that an attempt published and did not live to write down."""
    listed = {f"{backup.directory}/{part.name}" for part in parts}
    for entry in list(get_store().list(backup.directory)):
        if entry.key not in listed:
            with attempt.fenced():  # a worker that was paused here must not delete a part of today
                get_store().delete(entry.key)


def _facts(job: BackupJob, source: Source, uneven: Sequence[RowCountMismatch]) -> Capture:
    return Capture(
        database=job.db_name,
        captured_at=source.captured_at,
        method=source.method,
        milvus_version=source.milvus_version,
        service_id=job.cluster.service_id,
        cluster_id=job.cluster.cluster_id,
        warnings=(*source.warnings, *omissions_of(job), *map(str, uneven)),
        database_properties=source.database_properties,
    )


def _note(
    job: BackupJob, manifest: Manifest, sha256: str, uneven: Sequence[RowCountMismatch]
) -> None:
    """Copy from the manifest what lists show; the status follows when the task ends."""
    contents = [
        {
            "name": content.description.name,
            "rowCount": content.rows,
            "sizeBytes": content.bytes,
            "parts": len(content.parts),
            "aliases": list(content.description.aliases),
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
        omissions=_omissions(job, manifest.capture, uneven),
    )
    BackupJob.objects.filter(pk=job.pk).update(row_count=manifest.rows, size_bytes=manifest.bytes)
    Task.objects.filter(pk=job.task_id).update(warnings=list(manifest.capture.warnings))


def _omissions(job: BackupJob, capture: Capture, uneven: Sequence[RowCountMismatch]) -> list[str]:
    """Collections that had vanished, and rows that the server counts as of the same instant; and
    the instant, where it could give none: then other rows may be what was written meanwhile. Rows
    that are more than it counts have expired since they were read.
    """
    if capture.method == NO_INSTANT:
        return [*omissions_of(job), "It is not of one instant."]
    return [*omissions_of(job), *(str(each) for each in uneven if each.given < each.counted)]
