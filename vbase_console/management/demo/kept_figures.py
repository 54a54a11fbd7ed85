"""Kept figures of the sample data, as outcomes and sweeps would have written them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from backups.figures.job_counts import keep_count
from backups.figures.storage_days import KEPT_DAYS, measure_day
from backups.policies.days import CALENDAR_DAYS
from backups.policies.kept_figures import recount
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.protection.coverage import update_coverage
from clusters.availability import shown_days, start_of
from clusters.models import Cluster, ClusterDay
from clusters.states import ServiceStatus
from vbase_console.management.demo.table import Row, SampleTable
from vbase_console.organizations.models import Organization
from vbase_console.tasks.days import keep_days_of

DAYS_OFF, DAY_DOWN, DAYS_OF_CRASHES = (17, 18), 9, (4, 21)
"""Days ago on which the console was off, some clusters were down, and others crashed."""


def write_kept_figures(
    organization: Organization, clusters: Sequence[Cluster], policy_ids: Mapping[str, str]
) -> None:
    """Set what follows from all rows: last runs, coverage, counts and the figures of days."""
    newest = PolicyRun.objects.filter(policy=OuterRef("pk")).order_by("-planned_at", "-pk")
    BackupPolicy.objects.filter(organization=organization).update(
        last_run=Subquery(newest.values("pk")[:1])
    )
    for cluster in clusters:
        update_coverage(cluster.pk)
    for policy_id in policy_ids.values():
        recount(policy_id)
    keep_count(organization.pk)
    keep_days_of(organization.pk)
    now = timezone.now()
    _write_days_of_policies(organization, now)
    for ago in range(KEPT_DAYS):
        measure_day((now - timedelta(days=ago)).date(), organization=organization)
    _write_days_of_clusters(clusters, now)


def _write_days_of_policies(organization: Organization, now: datetime) -> None:
    runs = PolicyRun.objects.filter(
        organization=organization, planned_at__gt=now - timedelta(days=CALENDAR_DAYS)
    )
    damaged = Q(job__backup__damage_found_by__gt="")
    by_day = runs.order_by().annotate(day=TruncDate("planned_at")).values("policy", "day")
    counted = by_day.annotate(good=Count("pk", filter=~damaged), failed=Count("pk", filter=damaged))
    PolicyDay.objects.bulk_create(
        PolicyDay(
            organization=organization,
            policy_id=row["policy"],
            day=row["day"],
            good=row["good"],
            failed=row["failed"],
        )
        for row in counted
    )


def _write_days_of_clusters(clusters: Sequence[Cluster], now: datetime) -> None:
    SampleTable(ClusterDay(counted_until=now)).insert(
        {"cluster_id": cluster.pk, **_availability_of(number, cluster, day)}
        for day in shown_days()
        if (now.date() - day).days not in DAYS_OFF
        for number, cluster in enumerate(clusters)
    )


def _availability_of(number: int, cluster: Cluster, day: date) -> Row:
    """Return a day of a cluster: most are available, some crashed twice, and few were down."""
    end = min(timezone.now(), start_of(day) + timedelta(days=1))
    seconds, ago = (end - start_of(day)).total_seconds(), (timezone.now().date() - day).days
    row: Row = {"day": day, "counted_until": end}
    if cluster.status == ServiceStatus.STOPPED:
        return row | {"stopped_seconds": seconds}
    lost = min(seconds, float(number % 50 * 20))
    if number % 23 == 5 and ago == DAY_DOWN:
        lost = seconds
    elif number % 7 != 3 or ago not in DAYS_OF_CRASHES:
        return row | {"available_seconds": seconds}
    cause = "The Milvus process crashed."
    return row | {"available_seconds": seconds - lost, "interrupted_seconds": lost, "cause": cause}
