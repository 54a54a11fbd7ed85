"""Kept figures of a policy: the number and the newest of its complete backups.

They are recounted from the rows whenever such a backup appears, is found damaged or whole, or is
deleted: in the same transaction and with the cluster's row locked, so that two recounts never
overlap. Retention bounds the number of rows.
"""

from __future__ import annotations

from django.db.models import Count, Max

from backups.models import Backup, BackupJob, BackupQuerySet
from backups.policies.models import BackupPolicy
from backups.states import JobKind

CHANGING = frozenset({JobKind.BACKUP, JobKind.VERIFY, JobKind.DELETE})
"""Jobs that add, remove or assess a backup."""


def complete_backups_of(policy_id: str) -> BackupQuerySet:
    return Backup.objects.good().filter(policy_id=policy_id, omissions=[])


def recount(policy_id: str) -> None:
    if not policy_id:
        return
    complete = complete_backups_of(policy_id).order_by()
    figures = complete.aggregate(
        complete_backup_count=Count("pk"), newest_complete_backup_at=Max("created_at")
    )
    BackupPolicy.objects.filter(pk=policy_id).update(**figures)


def recount_after_job(job: BackupJob, *, succeeded: bool) -> None:
    if job.job_type in CHANGING:
        recount(job.policy_id)


def recount_of(backup: Backup) -> None:
    recount(backup.policy_id)
