"""Kept outcomes of each policy and day, from which the protection calendar is drawn.

A day is recounted from its runs in the transaction that changes one of them, with the cluster's row
locked, so that two recounts never overlap. A day has at most as many runs as minutes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from django.db.models import Count, Q
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.cron import BadCron, BadZone, next_after, parse, zone_of
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.states import JobKind
from vbase_console.core import batch_delete
from vbase_console.tasks.states import TaskState

CALENDAR_DAYS = 30
KEPT = timedelta(days=2 * CALENDAR_DAYS)
A_DAY = timedelta(days=1)


def zone_of_policy(policy: BackupPolicy) -> tzinfo:
    """Return UTC for a stored zone that is not valid any more."""
    try:
        return zone_of(policy.timezone)
    except BadZone:
        return UTC


def planned_on(policy: BackupPolicy, day: date) -> Q:
    """Return the condition for runs planned on a day of the policy's time zone."""
    zone = zone_of_policy(policy)
    return Q(planned_at__gte=_start_of(day, zone), planned_at__lt=_end_of(day, zone))


def recount_day(policy: BackupPolicy, planned_at: datetime) -> None:
    """Count the ended runs of the day in which a run was planned."""
    day = planned_at.astimezone(zone_of_policy(policy)).date()
    runs = PolicyRun.objects.filter(planned_on(policy, day), policy=policy.pk)
    skipped, late = ~Q(skip_reason=""), Q(is_catch_up=True)
    succeeded = Q(skip_reason="", job__task__state=TaskState.SUCCEEDED)
    complete = succeeded & Q(job__backup__omissions=[], job__backup__damage_found_by="")
    unsuccessful = Q(skip_reason="", job__task__state__in=(TaskState.FAILED, TaskState.CANCELLED))
    counts = runs.order_by().aggregate(
        good=Count("pk", filter=complete & ~late),
        late=Count("pk", filter=complete & late),
        failed=Count("pk", filter=unsuccessful | (succeeded & ~complete)),
        skipped=Count("pk", filter=skipped),
    )
    PolicyDay.objects.update_or_create(
        policy=policy, day=day, defaults={"organization_id": policy.organization_id, **counts}
    )


def recount_after_job(job: BackupJob, *, succeeded: bool) -> None:
    if job.job_type in (JobKind.BACKUP, JobKind.VERIFY) and job.policy_id:
        _recount_of_backup(job.backup_id)


def recount_of(backup: Backup) -> None:
    if backup.policy_id:
        _recount_of_backup(backup.pk)


def recount_run_of(job: BackupJob) -> None:
    """Recount after a skipped run or a retry, which replaces the job of a run."""
    for run in PolicyRun.objects.filter(job=job).select_related("policy"):
        recount_day(run.policy, run.planned_at)


def record_gap(policy: BackupPolicy, planned_at: datetime, now: datetime) -> None:
    """Mark the days on which runs after `planned_at` were planned and not started until `now`."""
    try:
        cron, zone = parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone):
        return
    after = max(planned_at, now - CALENDAR_DAYS * A_DAY)
    while (missed := next_after(cron, zone, after)) < now:
        day = missed.astimezone(zone).date()
        PolicyDay.objects.update_or_create(
            policy=policy,
            day=day,
            defaults={"organization_id": policy.organization_id, "has_gap": True},
        )
        after = _end_of(day, zone) - timedelta(microseconds=1)


def has_gap(policy: BackupPolicy, day: date) -> bool:
    """Return True if runs planned on the day were not started."""
    return PolicyDay.objects.filter(policy=policy, day=day, has_gap=True).exists()


def remove_old() -> int:
    return batch_delete.remove(
        PolicyDay.objects.filter(day__lt=(timezone.now() - KEPT).date()).order_by("day")
    )


def _recount_of_backup(backup_id: str) -> None:
    for run in PolicyRun.objects.filter(job__backup=backup_id).select_related("policy"):
        recount_day(run.policy, run.planned_at)


def _start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _end_of(day: date, zone: tzinfo) -> datetime:
    return _start_of(day + A_DAY, zone)
