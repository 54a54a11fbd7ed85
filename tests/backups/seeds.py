"""Rows of backups and jobs without the work that would create them, for lists and rights."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import FINISHED, TaskState

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
IMAGES = {"name": "images", "rowCount": 500, "sizeBytes": 20_480, "parts": 1, "aliases": []}
_number = itertools.count(1)


def seed_backup(cluster: Cluster, name: str = "", **fields: Any) -> Backup:
    """One that is AVAILABLE and holds `images`, unless told otherwise."""
    contents = {
        "status": BackupStatus.AVAILABLE,
        "db_name": "default",
        "collections": [IMAGES],
        "row_count": 500,
        "size_bytes": 20_480,
        "milvus_version": "3.2.2",
        "manifest_sha256": SHA256,
    }
    return Backup.objects.create(
        organization_id=cluster.organization_id,
        cluster=cluster,
        name=name or f"backup-{next(_number)}",
        **contents | fields,
    )


def seed_job(
    backup: Backup,
    kind: JobKind = JobKind.BACKUP,
    state: TaskState = TaskState.SUCCEEDED,
    **fields: Any,
) -> BackupJob:
    """Create a job of this backup with one event, by default on the backup's own cluster."""
    cluster: Cluster = fields.get("cluster", backup.cluster)
    task = Task.objects.create(
        task_id=f"job-{next(_number)}",
        id_prefix="job",
        organization_id=backup.organization_id,
        kind=kind,
        subject_id=backup.backup_id,
        quota_key=cluster.pk,
        lock=cluster.lock if kind == JobKind.RESTORE else backup.lock,
        state=state,
        progress=100 if state == TaskState.SUCCEEDED else 0,
        started_at=None if state == TaskState.PENDING else timezone.now(),
        finished_at=timezone.now() if state in FINISHED else None,
    )
    TaskEvent.objects.create(task=task, epoch=0, state=state, progress=0, message="Accepted.")
    about = {"cluster": cluster, "db_name": backup.db_name, "collection_names": ["images"]}
    if kind == JobKind.RESTORE:
        about["options"] = {"on_conflict": "FAIL", "suffix": ""}
    return BackupJob.objects.create(
        task=task,
        organization_id=backup.organization_id,
        job_type=kind,
        backup=backup,
        **about | fields,
    )
