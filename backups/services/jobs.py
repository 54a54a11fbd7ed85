"""Jobs that were asked for: cancelled, or asked for once more."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from backups.models import Backup, BackupJob
from backups.policies.models import PolicyRun
from backups.services.backups import BackupRequest, accept_backup, delete_again, verify_backup
from backups.services.restores import RestoreRequest, accept_restore, wish_for
from backups.states import JobKind, OnConflict
from clusters.models import Cluster
from vbase_console.core.errors import Aborted
from vbase_console.tasks import services as tasks


@transaction.atomic
def cancel_job(job: BackupJob, *, by: str) -> BackupJob:
    tasks.request_cancel(job.task, by=by)
    return job


@transaction.atomic
def retry_job(job: BackupJob, *, by: str) -> BackupJob:
    """Ask again for what a failed or cancelled job should have done; the same rules hold. What a
    cluster itself would say is left to the job: nobody waits for a server with rows locked.
    """
    Cluster.objects.locked(job.cluster_id)
    job.task.refresh_from_db()
    tasks.check_retryable(job.task)
    return _RETRY[JobKind(job.job_type)](job, by)


def _back_up_again(job: BackupJob, by: str) -> BackupJob:
    """Of a policy's job the names stay as given: none, where it takes all that there are."""
    _refuse_beside_another_run(job)
    backup = Backup(
        organization_id=job.organization_id,
        cluster=job.cluster,
        name=job.backup.name,
        db_name=job.db_name,
        policy_id=job.policy_id,
        requested_collections=job.backup.requested_collections,
    )
    request = BackupRequest(backup=backup, collection_names=job.collection_names)
    again = accept_backup(request, by=by, retry_of=job.task.task_id)
    if job.policy_id:
        _follow(job, again)
    return again


def _refuse_beside_another_run(job: BackupJob) -> None:
    """A policy takes one backup at a time, whichever of its runs asks for it."""
    going = PolicyRun.objects.active_job_id(job.policy_id)
    if going:
        raise Aborted(
            f"{going}, another run of this policy, goes on; wait for its end.",
            retry_after_seconds=5,
        )


def _follow(job: BackupJob, again: BackupJob) -> None:
    """The second try is the same run of its policy, with the same wish about what is missing."""
    again.options = {name: job.options[name] for name in job.options if name == "on_missing"}
    again.save(update_fields=["options"])
    runs = PolicyRun.objects.filter(job=job)
    runs.update(job=again, skip_reason="", retention_applied_at=None, retention_requested_at=None)


def _restore_again(job: BackupJob, by: str) -> BackupJob:
    options = {"on_conflict": OnConflict.FAIL, "suffix": ""} | job.options
    wish = wish_for(job.backup, job.db_name, job.collection_names, **options)
    request = RestoreRequest(backup=job.backup, target=job.cluster, wish=wish)
    return accept_restore(request, by=by, retry_of=job.task.task_id)


def _verify_again(job: BackupJob, by: str) -> BackupJob:
    return verify_backup(job.backup, by=by, retry_of=job.task.task_id)


def _delete_again(job: BackupJob, by: str) -> BackupJob:
    return delete_again(job.backup, by=by, retry_of=job.task.task_id)


_RETRY: dict[JobKind, Callable[[BackupJob, str], BackupJob]] = {
    JobKind.BACKUP: _back_up_again,
    JobKind.RESTORE: _restore_again,
    JobKind.VERIFY: _verify_again,
    JobKind.DELETE: _delete_again,
}
