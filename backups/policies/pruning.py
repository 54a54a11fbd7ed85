"""What retention decided, done: after each run, and again until it is done."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupQuerySet
from backups.policies.models import BackupPolicy, PolicyRun, PolicyRunQuerySet
from backups.policies.retention import Candidate, Verdict, decide
from backups.services import delete_backup
from backups.services.admission import hold_cluster
from backups.states import BackupStatus
from vbase_console import batches
from vbase_console.errors import ConsoleError
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 20.0
BACKUPS_AT_ONCE = 50
"""In one transaction: meanwhile nobody else asks anything of their cluster."""


@shared_task(name="vbase.sweep.retention")
def sweep_retention() -> int:
    """Apply the retention of policies a run of which has ended; answers how many backups go."""
    ids = list(_ended().order_by().values_list("policy_id", flat=True).distinct())
    random.shuffle(ids)  # Those that cannot be served now are in nobody's way.
    gone, until = 0, time.monotonic() + LONGEST_SECONDS
    for policy_id in ids:
        if time.monotonic() > until:
            break
        gone += _served(policy_id)
    return gone


@shared_task(name="vbase.sweep.runs")
def sweep_runs() -> int:
    """Remove runs past their time; their backups and jobs are not theirs to remove."""
    oldest = timezone.now() - timedelta(days=settings.RUN_HISTORY_DAYS)
    past = PolicyRun.objects.filter(created_at__lt=oldest).exclude(retained_at=None)
    return batches.remove(past.order_by("created_at"))


def _ended() -> PolicyRunQuerySet:
    return PolicyRun.objects.unsettled().filter(job__task__state__in=FINISHED)


def _served(policy_id: str) -> int:
    """One policy whose rows nobody understands does not keep the others from their turn."""
    try:
        return _applied(policy_id)
    except Exception:
        logger.exception("%s: its retention could not be applied", policy_id)
        return 0


def _applied(policy_id: str) -> int:
    """The runs are looked at before the backups: what ends meanwhile, or is tried again, is left
    for the next time.
    """
    runs = list(_ended().filter(policy_id=policy_id).values_list("pk", flat=True))
    policy = BackupPolicy.objects.filter(pk=policy_id).select_related("cluster").first()
    if policy is None:
        return 0
    gone, left = prune(policy)
    if not left:
        _ended().filter(pk__in=runs).update(retained_at=timezone.now())
    return gone


def prune(policy: BackupPolicy) -> tuple[int, int]:
    """How many backups are on their way out, and how many of those that should go are in use."""
    gone = 0
    while True:
        some, left = _prune_some(policy)
        gone += some
        if not some or not left:
            return gone, left


@transaction.atomic
def _prune_some(policy: BackupPolicy) -> tuple[int, int]:
    """Decided and asked for with all rows held: nothing is pinned, proven or found damaged between
    the two.
    """
    hold_cluster(policy.cluster)
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


def verdicts_on(policy: BackupPolicy, backups: Sequence[Backup], count: int) -> dict[str, Verdict]:
    candidates = [candidate(backup) for backup in backups]
    return decide(candidates, policy_id=policy.policy_id, count=count)


def candidate(backup: Backup) -> Candidate:
    return Candidate(
        backup_id=backup.backup_id,
        policy_id=backup.policy_id,
        created_at=backup.created_at,
        rows={each["name"]: each["rowCount"] for each in backup.collections},
        chosen=(backup.db_name, *sorted(backup.chosen)),
        is_available=backup.status == BackupStatus.AVAILABLE,
        is_complete=not (backup.missing or backup.damaged_by),
        is_pinned=backup.pinned,
        is_held=backup.is_held,
        verified_at=backup.verified_at,
        proven_at=backup.proven_at,
    )


def _remember_held(backups: Sequence[Backup], verdicts: dict[str, Verdict]) -> None:
    held = [
        backup.pk
        for backup in backups
        if verdicts[backup.backup_id].holds and backup.is_held is None
    ]
    if held:
        Backup.objects.filter(pk__in=held, is_held=None).update(is_held=True)


def _deleted(backup: Backup, policy_id: str) -> bool:
    """What is in use stays for now, and the next sweep decides anew."""
    try:
        delete_backup(backup, by=f"policy:{policy_id}")
    except ConsoleError as error:
        logger.info("%s: %s stays for now: %s", policy_id, backup.name, error)
        return False
    return True
