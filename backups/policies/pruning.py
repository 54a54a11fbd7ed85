"""Apply retention after each run, and again until it succeeds."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupQuerySet
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.retention import Candidate, RetentionDecision, decide
from backups.services.backups import delete_backup
from backups.states import BackupStatus
from clusters.models import Cluster
from vbase_console.core.errors import ConsoleError
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.versions import changed

logger = logging.getLogger(__name__)

SWEEP_TIMEOUT_SECONDS = 20.0
BATCH_SIZE = 50
"""Limit of one transaction, which locks the cluster's row."""

_throttle = LogThrottle(minutes=60)


def prune_ended() -> int:
    """Apply retention of policies with a finished run. Returns the number of deleted backups."""
    ids = list(
        PolicyRun.objects.retention_overdue()
        .order_by()
        .values_list("policy_id", flat=True)
        .distinct()
    )
    random.shuffle(ids)  # failing policies must not block the same others in every sweep
    deleted, until = 0, time.monotonic() + SWEEP_TIMEOUT_SECONDS
    for policy_id in ids:
        if time.monotonic() > until:
            break
        deleted += _prune_policy(policy_id)
    return deleted


def _prune_policy(policy_id: str) -> int:
    """Prune one policy. An error is logged, so that the other policies are pruned, too."""
    try:
        # runs are read first, so that a run that ends meanwhile is left for the next sweep
        runs = list(
            PolicyRun.objects.retention_overdue()
            .filter(policy_id=policy_id)
            .values_list("pk", flat=True)
        )
        policy = BackupPolicy.objects.filter(pk=policy_id).select_related("cluster").first()
        deleted = prune(policy, settles=runs) if policy else 0
    except Exception as error:
        if _throttle.should_log(policy_id, error):
            logger.exception("%s: retention not applied, will be retried", policy_id)
        return 0
    _throttle.reset(policy_id)
    return deleted


def prune(policy: BackupPolicy, *, settles: Sequence[int] = ()) -> int:
    """Delete expired backups. Returns their number.

    Once no expired backup is left, retention counts as applied after the runs `settles`.
    """
    deleted = 0
    while True:
        batch, left = _prune_batch(policy, settles)
        deleted += batch
        if not batch or not left:
            return deleted


@transaction.atomic
def _prune_batch(policy: BackupPolicy, settles: Sequence[int]) -> tuple[int, int]:
    """Decide and delete in one transaction with all rows locked.

    Between decision and deletion no backup can be pinned, proven or found damaged, and the policy
    cannot change. The runs are settled in the same transaction, because a count lowered in between
    would otherwise pass for applied. Returns the numbers of deleted and of remaining expired ones.
    """
    Cluster.objects.locked(policy.cluster_id)
    locked = BackupPolicy.objects.select_for_update(of=("self",)).filter(pk=policy.pk).first()
    if locked is None:
        return 0, 0
    backups = list(_of(locked).select_for_update(of=("self",)))
    decisions = decisions_on(locked, backups, locked.retention_count)
    held = [
        backup.pk
        for backup in backups
        if decisions[backup.backup_id].sets_hold and backup.retention_hold is None
    ]
    if held:
        Backup.objects.filter(pk__in=held, retention_hold=None).update(retention_hold=True)
        changed(locked.organization_id)
    expired = [backup for backup in backups if not decisions[backup.backup_id].keep]
    deleted = 0
    for backup in expired:
        deleted += deleted < BATCH_SIZE and _delete(backup, policy.policy_id)
    left = len(expired) - deleted
    if not left:
        overdue = PolicyRun.objects.retention_overdue().filter(pk__in=settles)
        if overdue.update(retention_applied_at=timezone.now()):
            changed(locked.organization_id)
    return deleted, left


def backups_of(policy: BackupPolicy) -> list[Backup]:
    return list(_of(policy))


def _of(policy: BackupPolicy) -> BackupQuerySet:
    available = Backup.objects.available().select_related("cluster")
    return available.filter(policy_id=policy.policy_id)


def decisions_on(
    policy: BackupPolicy, backups: Sequence[Backup], count: int
) -> dict[str, RetentionDecision]:
    candidates = [candidate(backup) for backup in backups]
    return decide(candidates, policy_id=policy.policy_id, count=count)


def candidate(backup: Backup) -> Candidate:
    return Candidate(
        backup_id=backup.backup_id,
        policy_id=backup.policy_id,
        created_at=backup.created_at,
        rows={entry["name"]: entry["rowCount"] for entry in backup.collections},
        chosen=(backup.db_name, *sorted(backup.requested_collections)),
        is_available=backup.status == BackupStatus.AVAILABLE,
        is_complete=not backup.omissions,
        is_damaged=backup.is_damaged,
        is_pinned=backup.pinned,
        retention_hold=backup.retention_hold,
        verified_at=backup.verified_at,
        proven_at=backup.proven_at,
    )


def _delete(backup: Backup, policy_id: str) -> bool:
    try:
        delete_backup(backup, by=f"policy:{policy_id}", limited=False)
    except ConsoleError as error:
        logger.info("%s: %s not deleted, will be retried: %s", policy_id, backup.name, error)
        return False
    return True
