"""A job left for a worker: the task, and what it is about."""

from __future__ import annotations

from collections.abc import Sequence

from backups.models import Backup, BackupJob
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from vbase_console.tasks import services as tasks


def enqueue_job_about(
    kind: JobKind, backup: Backup, *, by: str, retry_of: str = "", limited: bool = True
) -> BackupJob:
    return enqueue_job(
        kind,
        backup=backup,
        cluster=backup.cluster,
        lock=backup.lock,
        db_name=backup.db_name,
        collection_names=[collection["name"] for collection in backup.collections],
        by=by,
        retry_of=retry_of,
        limited=limited,
    )


def enqueue_job(
    kind: JobKind,
    *,
    backup: Backup,
    cluster: Cluster,
    lock: str,
    db_name: str,
    collection_names: list[str],
    options: dict[str, str] | None = None,
    by: str,
    retry_of: str = "",
    limited: bool = True,
) -> BackupJob:
    task = tasks.enqueue(
        organization_id=backup.organization_id,
        kind=kind,
        subject_id=backup.backup_id,
        lock=lock,
        quota_key=cluster.cluster_id,
        limited=limited,
        requested_by=by,
        retry_of=retry_of,
    )
    return BackupJob.objects.create(
        task=task,
        organization_id=backup.organization_id,
        job_type=kind,
        backup=backup,
        cluster=cluster,
        db_name=db_name,
        collection_names=collection_names,
        options=options or {},
        policy_id=backup.policy_id,
        **_extent(backup, collection_names),
    )


def _extent(backup: Backup, names: Sequence[str]) -> dict[str, int | None]:
    """How much a job is about. What is still to be written is counted as it is written."""
    if backup.status == BackupStatus.CREATING:
        return {"row_count": None, "size_bytes": None}
    chosen = [each for each in backup.collections if not names or each["name"] in names]
    return {
        "row_count": sum(each["rowCount"] for each in chosen),
        "size_bytes": sum(each["sizeBytes"] for each in chosen),
    }
