"""One run of a policy: its row and its job, or its row and the reason why there is none."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies import schedules
from backups.policies.models import BackupPolicy, PolicyRun
from backups.services import BackupRequest, accept_backup, default_name
from vbase_console.errors import FailedPrecondition


@transaction.atomic
def start_run(
    policy: BackupPolicy,
    *,
    planned_at: datetime,
    by: str,
    is_catch_up: bool = False,
    is_manual: bool = False,
) -> PolicyRun:
    """Called with the cluster's and the policy's rows held. No cluster is asked for anything here:
    which collections there are is seen by the job.
    """
    job, reason = _ask(policy, by)
    run = PolicyRun.objects.create(
        organization_id=policy.organization_id,
        policy=policy,
        planned_at=planned_at,
        job=job,
        skip_reason=reason,
        is_catch_up=is_catch_up,
        is_manual=is_manual,
        retained_at=None if job else timezone.now(),
    )
    BackupPolicy.objects.filter(pk=policy.pk).update(last_run=run)
    schedules.copy_last_run(policy.policy_id, run.created_at)
    return run


def _ask(policy: BackupPolicy, by: str) -> tuple[BackupJob | None, str]:
    going = policy.runs.going().select_related("job__task").first()
    if going is not None and going.job is not None:
        return None, f"{going.job.task.task_id}, the run before, has not ended."
    try:
        job = accept_backup(_request(policy), by=by)
    except FailedPrecondition as error:
        return None, error.message
    job.options = {"on_missing": policy.on_missing}
    job.save(update_fields=["options"])
    return job, ""


def _request(policy: BackupPolicy) -> BackupRequest:
    backup = Backup(
        organization_id=policy.organization_id,
        cluster=policy.cluster,
        name=default_name(policy.db_name),
        db_name=policy.db_name,
        policy_id=policy.policy_id,
        chosen=policy.collection_names,
    )
    return BackupRequest(backup=backup, collection_names=policy.collection_names)
