"""The only writer of django-celery-beat rows of policies: for each policy a task and a crontab.

The rows are a copy for readers. Beat does not load them. A stock beat that loads them only wakes
the dispatcher, which decides from the rows of policies.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from backups.policies.cron import FIELDS, Cron, CronField, parse
from backups.policies.models import BackupPolicy

WAKES = "vbase.sweep.policies"
PREFIX = "policy:"


def name_of(policy_id: str) -> str:
    return f"{PREFIX}{policy_id}"


def policy_id_in(name: str) -> str:
    """Return the id in a row's name, or an empty text for rows of other tasks."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else ""


@transaction.atomic
def mirror(policy: BackupPolicy) -> None:
    """Copy a policy to its rows, in the transaction that changes it."""
    crontab = crontab_of(parse(policy.schedule_cron)) | {"timezone": policy.timezone}
    entry = PeriodicTask.objects.filter(name=name_of(policy.policy_id)).first()
    if entry is None:
        schedule = CrontabSchedule.objects.create(**crontab)
        entry = PeriodicTask(name=name_of(policy.policy_id), task=WAKES, crontab=schedule)
    else:
        CrontabSchedule.objects.filter(pk=entry.crontab_id).update(**crontab)
    entry.enabled = policy.is_active
    entry.description = f"Backups of {policy.cluster_id}: '{policy.schedule_cron}'."
    entry.save()


@transaction.atomic
def disable(policy_id: str) -> None:
    """Disable the row without reading its crontab, whose zone may not exist any more."""
    PeriodicTask.objects.filter(name=name_of(policy_id)).update(enabled=False, last_run_at=None)
    PeriodicTasks.update_changed()


@transaction.atomic
def remove(policy_id: str) -> None:
    for entry in PeriodicTask.objects.filter(name=name_of(policy_id)):
        entry.delete()
        CrontabSchedule.objects.filter(pk=entry.crontab_id).only("pk").delete()


def copy_last_run(policy_id: str, at: datetime) -> None:
    """Use `update`, because `save` would make every beat read all its rows again."""
    PeriodicTask.objects.filter(name=name_of(policy_id)).update(last_run_at=at)


def crontab_of(cron: Cron) -> dict[str, str]:
    """Convert to beat's crontab: steps written out, Sunday as 0.

    Beat can only require both days. Where either day is enough the copy names every day, so that
    beat wakes too often rather than too seldom.
    """
    minute, hour, day, month, weekday = map(_written, FIELDS, cron.values)
    if not cron.needs_both_days:
        day = weekday = "*"
    return {
        "minute": minute,
        "hour": hour,
        "day_of_month": day,
        "month_of_year": month,
        "day_of_week": weekday,
    }


def _written(field: CronField, values: frozenset[int]) -> str:
    if len(values) == field.size:
        return "*"
    return ",".join(str(value) for value in sorted(values))
