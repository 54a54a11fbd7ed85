from __future__ import annotations

from django.db import transaction

from backups import observers
from backups.models import FILLS_NEW_CLUSTER, Backup, BackupJob
from backups.services.backups import BackupRequest, retry_deletion, verify_backup
from backups.services.restores import RestoreRequest, restore_options
from backups.states import JobKind
from clusters.models import Cluster
from clusters.states import ENDED
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.tasks import services as tasks


@transaction.atomic
def cancel_job(job: BackupJob, *, by: str) -> BackupJob:
    tasks.request_cancel(job.task, by=by)
    return job


@transaction.atomic
def retry_job(job: BackupJob, *, by: str) -> BackupJob:
    """Enqueue a new job for the same work as a failed or cancelled one, under the same rules.

    The cluster is queried by the new job only, because no call waits for a server with rows locked.
    """
    job.cluster = Cluster.objects.locked(job.cluster_id)
    job.task.refresh_from_db()
    tasks.check_retryable(job.task)
    retry_of = job.task.task_id
    match JobKind(job.job_type):
        case JobKind.BACKUP:
            new = _retry_backup(job, by)
        case JobKind.RESTORE:
            _refuse_removed_target(job)
            given = {name: job.options[name] for name in job.options if name != FILLS_NEW_CLUSTER}
            options = restore_options(
                job.backup,
                db_name=job.db_name,
                collection_names=job.collection_names,
                **given,
            )
            request = RestoreRequest(backup=job.backup, target=job.cluster, options=options)
            new = request.submit(by=by, retry_of=retry_of)
        case JobKind.VERIFY:
            new = verify_backup(job.backup, by=by, retry_of=retry_of)
        case _:
            new = retry_deletion(job.backup, by=by, retry_of=retry_of)
    observers.job_retried(job, new)
    return new


def _refuse_removed_target(job: BackupJob) -> None:
    if job.fills_new_cluster and job.cluster.status in ENDED:
        raise FailedPrecondition(
            f"The new cluster {job.cluster.name} of {job.task.task_id} is removed. Restore "
            f"{job.backup.name} again, into a new cluster or an existing one."
        )


def _retry_backup(job: BackupJob, by: str) -> BackupJob:
    """A policy has one unfinished backup at a time. Its selection is resolved by the new job."""
    if active := observers.active_run_of(job.policy_id):
        raise Aborted(
            f"{active} of the same policy is still running. Wait until it has finished.",
            retry_after_seconds=5,
        )
    backup = Backup(
        organization_id=job.organization_id,
        cluster=job.cluster,
        name=job.backup.name,
        db_name=job.db_name,
        policy_id=job.policy_id,
        requested_collections=job.backup.requested_collections,
    )
    request = BackupRequest(
        backup=backup,
        collection_names=job.collection_names,
        include_access_control=job.options.get("include_access_control", False),
    )
    options = {name: job.options[name] for name in job.options if name == "on_missing"}
    return request.submit(by=by, retry_of=job.task.task_id, options=options)
