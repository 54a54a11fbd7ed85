"""Effect of a job's end on the backup's row, in the transaction that ends the task."""

from __future__ import annotations

from django.utils import timezone

from backups import observers
from backups.archive.damage import Finding
from backups.models import Backup, BackupJob
from backups.services.backups import delete_backup
from backups.services.new_clusters import remove_new_cluster
from backups.states import BackupStatus, JobKind
from clusters.states import TaskKind
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import CancelEffect
from vbase_console.tasks.states import TaskState


def settle(task: Task) -> None:
    job = BackupJob.objects.select_related("backup").get(task=task)
    kind, state = JobKind(job.job_type), TaskState(task.state)
    changes: dict[str, object] = {"status": _status_after(kind, state, job.backup)}
    if kind is JobKind.RESTORE and state == TaskState.SUCCEEDED and task.checkpoint.get("proves"):
        changes["proven_at"] = timezone.now()
    if changes["status"] == BackupStatus.GONE:
        changes["deleted_at"] = timezone.now()
    backup = Backup.objects.filter(pk=job.backup_id)
    backup.update(**changes)
    if task.checkpoint.get("damaged") and state != TaskState.SUCCEEDED:
        findings = [Finding(**finding) for finding in task.checkpoint.get("findings", ())]
        backup.mark_damaged(by=task.task_id, findings=findings or [Finding("", task.message)])
    observers.job_finished(job, succeeded=state == TaskState.SUCCEEDED)
    if kind is JobKind.BACKUP and state == TaskState.SUCCEEDED:
        _delete_with_cluster(job)
    if job.fills_new_cluster and state != TaskState.SUCCEEDED:
        remove_new_cluster(job, task)


def cancel_effect(task: Task) -> CancelEffect:
    """Describe what the cancellation of a job would lose and keep."""
    job = BackupJob.objects.select_related("backup", "cluster").get(task=task)
    backup, cluster = job.backup.name, job.cluster.name
    if job.fills_new_cluster:
        return _effect_on_new_cluster(job)
    if job.job_type == JobKind.BACKUP:
        return CancelEffect(
            lost=(f"the backup {backup}, with the files that the job has written so far",),
            kept=(f"{cluster} with all its data, and its other backups",),
        )
    if job.job_type == JobKind.RESTORE:
        return CancelEffect(
            lost=("the rows that the job has inserted so far",),
            kept=(f"{cluster} as it was before the restore, and the backup",),
        )
    return CancelEffect(
        lost=("the progress of this job",),
        kept=("the backup, and the result of its last verification",),
    )


def _effect_on_new_cluster(job: BackupJob) -> CancelEffect:
    cluster, kept = job.cluster.name, f"the backup {job.backup.name}"
    if job.cluster.deletion_protection:
        protected = (
            f"the new cluster {cluster} without restored collections, because it is protected "
            "from deletion"
        )
        return CancelEffect(
            lost=("the rows that the job has inserted so far",), kept=(kept, protected)
        )
    lost = f"the new cluster {cluster}, which is removed with everything in it"
    if job.is_of_clone:
        lost += ", and the other restores of this clone"
    return CancelEffect(lost=(lost,), kept=(kept,))


def _delete_with_cluster(job: BackupJob) -> None:
    """Delete a backup that was written while its cluster was deleted with its backups."""
    deletions = Task.objects.changes_of(job.cluster_id).filter(kind=TaskKind.DELETION)
    deletion = deletions.filter(arguments__delete_backups=True).first()
    if deletion is not None:
        delete_backup(job.backup, by=deletion.requested_by, limited=False)


def _status_after(kind: JobKind, ended: TaskState, backup: Backup) -> BackupStatus:
    succeeded = ended == TaskState.SUCCEEDED
    if kind is JobKind.BACKUP:
        return BackupStatus.AVAILABLE if succeeded else BackupStatus.GONE
    if kind is JobKind.DELETE and succeeded:
        return BackupStatus.GONE
    return BackupStatus(backup.status)
