from __future__ import annotations

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
    options: dict[str, str | bool] | None = None,
    by: str,
    retry_of: str = "",
    limited: bool = True,
    priority: int = 0,
) -> BackupJob:
    task = tasks.enqueue(
        organization_id=backup.organization_id,
        kind=kind,
        subject_id=backup.backup_id,
        lock=lock,
        quota_key=cluster.cluster_id,
        limited=limited,
        priority=priority,
        requested_by=by,
        retry_of=retry_of,
    )
    row_count, size_bytes = _rows_and_bytes(backup, collection_names)
    return BackupJob.objects.create(
        task=task,
        organization_id=backup.organization_id,
        job_type=kind,
        backup=backup,
        cluster=cluster,
        db_name=db_name,
        collection_names=collection_names,
        options=options or {},
        row_count=row_count,
        size_bytes=size_bytes,
        policy_id=backup.policy_id,
    )


def _rows_and_bytes(
    backup: Backup, collection_names: list[str]
) -> tuple[int, int] | tuple[None, None]:
    """Count what a job reads. A job that writes the backup counts while it copies."""
    if backup.status == BackupStatus.CREATING:
        return None, None
    chosen = [
        collection
        for collection in backup.collections
        if not collection_names or collection["name"] in collection_names
    ]
    return (
        sum(collection["rowCount"] for collection in chosen),
        sum(collection["sizeBytes"] for collection in chosen),
    )
