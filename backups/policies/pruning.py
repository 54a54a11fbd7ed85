"""What retention decided, done: after each run, and again until it is done."""

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

logger = logging.getLogger(__name__)

SWEEP_TIMEOUT_SECONDS = 20.0
BACKUPS_AT_ONCE = 50
"""In one transaction: meanwhile nobody else asks anything of their cluster."""

_throttle = LogThrottle(minutes=60)


def prune_ended() -> int:
    """Apply the retention of policies a run of which has ended; answers how many backups go."""
    ids = list(
        PolicyRun.objects.retention_overdue()
        .order_by()
        .values_list("policy_id", flat=True)
        .distinct()
    )
    random.shuffle(ids)  # Those that cannot be served now are in nobody's way.
    gone, until = 0, time.monotonic() + SWEEP_TIMEOUT_SECONDS
    for policy_id in ids:
        if time.monotonic() > until:
            break
        gone += _served(policy_id)
    return gone


def _served(policy_id: str) -> int:
    """One policy whose rows nobody understands does not keep the others from their turn."""
    try:
        gone = _applied(policy_id)
    except Exception as error:
        if _throttle.should_log(policy_id, error):
            logger.exception("%s: its retention could not be applied", policy_id)
        return 0
    _throttle.reset(policy_id)
    return gone


def _applied(policy_id: str) -> int:
    """The runs are looked at before the backups: what ends meanwhile, or is tried again, is left
    for the next time.
    """
    runs = list(
        PolicyRun.objects.retention_overdue()
        .filter(policy_id=policy_id)
        .values_list("pk", flat=True)
    )
    policy = BackupPolicy.objects.filter(pk=policy_id).select_related("cluster").first()
    return prune(policy, settles=runs) if policy else 0


def prune(policy: BackupPolicy, *, settles: Sequence[int] = ()) -> int:
    """How many backups are on their way out. Once none is left that should go, retention was
    applied after the runs that it `settles`.
    """
    gone = 0
    while True:
        some, left = _prune_some(policy, settles)
        gone += some
        if not some or not left:
            return gone


@transaction.atomic
def _prune_some(policy: BackupPolicy, settles: Sequence[int]) -> tuple[int, int]:
    """Decided and asked for with all rows held, the policy's too: nothing is pinned, proven or
    found damaged between the two, and nobody changes the count or deletes the policy.

    The runs are settled in the same transaction: later a count that is lowered in between would
    pass for applied.
    """
    Cluster.objects.locked(policy.cluster_id)
    held = BackupPolicy.objects.select_for_update(of=("self",)).filter(pk=policy.pk).first()
    if held is None:
        return 0, 0
    gone, left = _pruned(held)
    if not left:
        PolicyRun.objects.retention_overdue().filter(pk__in=settles).update(
            retention_applied_at=timezone.now()
        )
    return gone, left


def _pruned(policy: BackupPolicy) -> tuple[int, int]:
    """How many go now, and how many of those that should are in use or have their turn later."""
    backups = list(_of(policy).select_for_update(of=("self",)))
    verdicts = verdicts_on(policy, backups, policy.retention_count)
    _remember_held(backups, verdicts)
    going = [backup for backup in backups if not verdicts[backup.backup_id].keep]
    gone = 0
    for backup in going:
        gone += gone < BACKUPS_AT_ONCE and _deleted(backup, policy.policy_id)
    return gone, len(going) - gone


def backups_of(policy: BackupPolicy) -> list[Backup]:
    return list(_of(policy))


def _of(policy: BackupPolicy) -> BackupQuerySet:
    """By cluster first, which has an index."""
    available = Backup.objects.available().select_related("cluster")
    return available.filter(cluster=policy.cluster_id, policy_id=policy.policy_id)


def verdicts_on(
    policy: BackupPolicy, backups: Sequence[Backup], count: int
) -> dict[str, RetentionDecision]:
    candidates = [candidate(backup) for backup in backups]
    return decide(candidates, policy_id=policy.policy_id, count=count)


def candidate(backup: Backup) -> Candidate:
    return Candidate(
        backup_id=backup.backup_id,
        policy_id=backup.policy_id,
        created_at=backup.created_at,
        rows={each["name"]: each["rowCount"] for each in backup.collections},
        chosen=(backup.db_name, *sorted(backup.requested_collections)),
        is_available=backup.status == BackupStatus.AVAILABLE,
        is_complete=not backup.omissions,
        is_damaged=backup.is_damaged,
        is_pinned=backup.pinned,
        retention_hold=backup.retention_hold,
        verified_at=backup.verified_at,
        proven_at=backup.proven_at,
    )


def _remember_held(backups: Sequence[Backup], verdicts: dict[str, RetentionDecision]) -> None:
    held = [
        backup.pk
        for backup in backups
        if verdicts[backup.backup_id].holds and backup.retention_hold is None
    ]
    if held:
        Backup.objects.filter(pk__in=held, retention_hold=None).update(retention_hold=True)


def _deleted(backup: Backup, policy_id: str) -> bool:
    """What is in use stays for now, and the next sweep decides anew."""
    try:
        delete_backup(backup, by=f"policy:{policy_id}", limited=False)
    except ConsoleError as error:
        logger.info("%s: %s stays for now: %s", policy_id, backup.name, error)
        return False
    return True
