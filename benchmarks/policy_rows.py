"""Policies as the console would have made them, with their copies for beat; many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.utils import timezone

from vbase_console.core.ids import new_id

if TYPE_CHECKING:
    from backups.policies.models import BackupPolicy
    from clusters.models import Cluster
    from vbase_console.organizations.models import Organization

AT_ONCE = 2_000
IN_HALF_A_YEAR = timedelta(days=183)


def make_console() -> None:
    from vbase_console.management.commands.prepare import write_ahead

    write_ahead()
    call_command("migrate", interactive=False, verbosity=0)


def make_cluster(name: str) -> Cluster:
    """One that runs, in an organization of its own."""
    from clusters.models import Cluster

    return Cluster.objects.create(
        organization=_organization(name),
        name=name,
        version="1",
        status="RUNNING",
        condition="RUNNING",
        wanted_running=True,
    )


def _organization(name: str) -> Organization:
    from vbase_console.organizations.models import Organization

    return Organization.objects.create(name=name)


def make_idle(cluster: Cluster, count: int, *, share_crontabs: bool = False) -> None:
    """So many of which none is due for months, at any minute of one day in the year; those that
    share crontabs at full hours.
    """
    from backups.policies.models import BackupPolicy

    far = timezone.now() + IN_HALF_A_YEAR
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        minutes = [
            number % 1440 // 60 * 60 if share_crontabs else number % 1440 for number in numbers
        ]
        policies = BackupPolicy.objects.bulk_create(
            _policy(cluster, f"{minute % 60} {minute // 60} 1 {far.month} *", far)
            for minute in minutes
        )
        copy_to_beat(policies, share_crontabs=share_crontabs)


def make_due(
    clusters: Sequence[Cluster], due_at: datetime, *, share_crontabs: bool = False
) -> None:
    """A policy of each cluster, which last ran a day before; a cluster may be named often."""
    from backups.policies.models import BackupPolicy

    daily = f"{due_at.minute} {due_at.hour} * * *"
    policies = [_policy(cluster, daily, due_at) for cluster in clusters]
    made = BackupPolicy.objects.bulk_create(policies)
    copy_to_beat(made, share_crontabs=share_crontabs, last_run_at=due_at - timedelta(days=1))


def _policy(cluster: Cluster, schedule_cron: str, next_run_at: datetime) -> BackupPolicy:
    from backups.policies.models import BackupPolicy

    return BackupPolicy(
        organization_id=cluster.organization_id,
        cluster=cluster,
        name=new_id("policy"),
        schedule_cron=schedule_cron,
        retention_count=7,
        next_run_at=next_run_at,
    )


def copy_to_beat(
    policies: Sequence[BackupPolicy],
    *,
    share_crontabs: bool = False,
    last_run_at: datetime | None = None,
) -> None:
    """As `backups.policies.beat_mirror.mirror` does for one: a crontab for each. Shared ones are
    what people make who write to django-celery-beat by hand.
    """
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    from backups.policies.beat_mirror import WAKES, crontab_of, name_of
    from backups.policies.cron import parse

    wanted = [
        crontab_of(parse(policy.schedule_cron)) | {"timezone": policy.timezone}
        for policy in policies
    ]
    if share_crontabs:
        crontabs = [CrontabSchedule.objects.get_or_create(**fields)[0] for fields in wanted]
    else:
        crontabs = CrontabSchedule.objects.bulk_create(
            CrontabSchedule(**fields) for fields in wanted
        )
    PeriodicTask.objects.bulk_create(
        PeriodicTask(
            name=name_of(policy.policy_id), task=WAKES, crontab=crontab, last_run_at=last_run_at
        )
        for policy, crontab in zip(policies, crontabs, strict=True)
    )
