"""Start one run of a policy, or record why it is skipped."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies import beat_mirror, days
from backups.policies.models import BackupPolicy, PolicyRun
from backups.services.backups import BackupRequest, default_name
from backups.states import JobKind
from clusters.admission import require_running
from clusters.models import Cluster
from clusters.states import ServiceStatus
from vbase_console.core.errors import Aborted, FailedPrecondition, ResourceExhausted
from vbase_console.organizations.versions import changed
from vbase_console.tasks.limits import check_capacity


@transaction.atomic(savepoint=False)
def start_run(
    policy: BackupPolicy,
    *,
    planned_at: datetime,
    by: str,
    next_run_at: datetime | None = None,
    is_catch_up: bool = False,
    is_manual: bool = False,
) -> PolicyRun:
    """Start a run, or record why it is skipped, and store it as the policy's last run.

    The caller has locked the cluster's row and has read the policy under that lock. The cluster is
    not queried, because the job selects the collections. Raises Aborted if the plan was changed
    meanwhile.
    """
    job, reason = _request_job(policy, by)
    run = PolicyRun.objects.create(
        organization_id=policy.organization_id,
        policy=policy,
        planned_at=planned_at,
        job=job,
        skip_reason=reason,
        is_catch_up=is_catch_up,
        is_manual=is_manual,
        retention_applied_at=None if job else timezone.now(),
    )
    as_read = BackupPolicy.objects.filter(pk=policy.pk, next_run_at=policy.next_run_at)
    if not as_read.update(last_run=run, next_run_at=next_run_at or policy.next_run_at):
        raise Aborted(f"{policy.policy_id} was changed in the meantime. Try again.")
    changed(policy.organization_id)
    if reason:
        days.recount_day(policy, planned_at)
    beat_mirror.copy_last_run(policy.policy_id, run.created_at)
    return run


def continue_run(old: BackupJob, new: BackupJob) -> None:
    if old.policy_id and old.job_type == JobKind.BACKUP:
        PolicyRun.objects.filter(job=old).update(
            job=new, skip_reason="", retention_applied_at=None, retention_requested_at=None
        )
        days.recount_run_of(new)


def record_nothing_to_back_up(job: BackupJob, *, reason: str) -> None:
    PolicyRun.objects.filter(job=job).update(skip_reason=reason)


def request_retention_of(backup: Backup) -> None:
    PolicyRun.objects.request_retention(backup.policy_id)


def skip_reason(cluster: Cluster) -> str:
    """Reason why a run would be skipped now, or an empty text.

    Runs of an UNKNOWN cluster are skipped, although users may start a backup of it.
    """
    if cluster.status == ServiceStatus.UNKNOWN:
        return (
            f"{cluster.service_id} is UNKNOWN, because its status could not be read. "
            "It must be RUNNING."
        )
    try:
        require_running(cluster, JobKind.BACKUP)
    except (Aborted, FailedPrecondition) as error:
        return error.message
    return ""


def _request_job(policy: BackupPolicy, by: str) -> tuple[BackupJob | None, str]:
    if active := PolicyRun.objects.active_job_id(policy.policy_id):
        return None, f"The previous run has not ended ({active})."
    if reason := skip_reason(policy.cluster):
        return None, reason
    try:
        check_capacity(policy.organization_id, policy.cluster_id)
    except ResourceExhausted as error:
        return None, error.message
    backup = Backup(
        organization_id=policy.organization_id,
        cluster=policy.cluster,
        name=default_name(policy.db_name),
        db_name=policy.db_name,
        policy_id=policy.policy_id,
        requested_collections=policy.collection_names,
    )
    request = BackupRequest(
        backup=backup,
        collection_names=policy.collection_names,
        include_access_control=policy.include_access_control,
    )
    job = request.submit(
        by=by,
        locked=policy.cluster,
        options={"on_missing": policy.on_missing},
        limited=False,
    )
    return job, ""
