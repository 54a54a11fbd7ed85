"""Coverage rows and figures of the pages. The number of queries does not depend on the rows."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from backups.policies.health import UNHEALTHY, with_health
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.rpo import covers
from backups.policies.states import OVERDUE_AFTER
from backups.policies.views.presenters import longest_overdue_retention, runs_of, schedule_error
from backups.protection.models import InventoryScan, KnownCollection
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.organizations.tenancy import Principal

MAX_FAILING = 5
NEXT_RUNS = 5
MAX_PLANNED = 12
RECENT_SCAN = timedelta(minutes=10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnhealthyPolicy:
    """Policy with problems and the run that explains them. A late policy may have no run."""

    policy: BackupPolicy
    run: PolicyRun | None
    schedule_error: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionRow:
    """Known collection with its active and paused policies."""

    collection: KnownCollection
    policies: list[BackupPolicy]
    paused: list[BackupPolicy]
    now: datetime

    @property
    def state(self) -> str:
        return self.collection.coverage_at(self.now)

    @property
    def is_outdated(self) -> bool:
        return self.collection.seen_at < self.now - RECENT_SCAN

    @property
    def cluster(self) -> Cluster:
        return self.collection.cluster


def known_to(principal: Principal) -> Any:
    known = KnownCollection.objects.living().visible_to(principal)
    return known.select_related("cluster__inventory_scan", "newest_backup", "proven_backup")


def collection_rows(
    principal: Principal, collections: Iterable[KnownCollection]
) -> list[CollectionRow]:
    listed, now = list(collections), timezone.now()
    cluster_ids = {collection.cluster_id for collection in listed}
    policies: dict[tuple[str, str], list[BackupPolicy]] = defaultdict(list)
    for policy in BackupPolicy.objects.visible_to(principal).filter(cluster__in=cluster_ids):
        policies[policy.cluster_id, policy.db_name].append(policy)
    return [
        _row(collection, policies[collection.cluster_id, collection.db_name], now)
        for collection in listed
    ]


def _row(collection: KnownCollection, policies: list[BackupPolicy], now: datetime) -> CollectionRow:
    """Build a row. An uncovered collection has no active policy, because a policy with an invalid
    schedule covers nothing.
    """
    covering = [
        policy
        for policy in policies
        if policy.pk == collection.policy_id or covers(policy.collection_names, collection.name)
    ]
    active = [policy for policy in covering if policy.is_active]
    return CollectionRow(
        collection=collection,
        policies=active if collection.policy_id else [],
        paused=[policy for policy in covering if not policy.is_active],
        now=now,
    )


def collections_by_database(principal: Principal, cluster: Cluster) -> dict[str, dict[str, str]]:
    known = KnownCollection.objects.visible_to(principal).filter(cluster=cluster)
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for db_name, name, newest_backup in known.values_list("db_name", "name", "newest_backup"):
        names[db_name][name] = newest_backup or ""
    return dict(names)


def figures_of_cluster(principal: Principal, cluster: Cluster) -> dict[str, int]:
    known = KnownCollection.objects.living().visible_to(principal).filter(cluster=cluster)
    return known.figures(timezone.now())


def coverage_figures(principal: Principal, now: datetime) -> dict[str, Any]:
    """Return the coverage figures of an organization and, as `unseen`, what they omit: running
    clusters with repeatedly failed scans, and collections beyond the maximum per cluster.
    """
    known = KnownCollection.objects.living().visible_to(principal)
    scans = InventoryScan.objects.visible_to(principal).filter(cluster__wanted_running=True)
    silent = Q(failures__gt=1, cluster__condition=Condition.RUNNING)
    unseen = scans.order_by().aggregate(
        clusters=Count("pk", filter=silent),
        since=Min("scanned_at", filter=silent),
        collections=Sum("omitted_count"),
    )
    return {"figures": known.figures(now), "unseen": unseen}


def protection_summary(principal: Principal) -> dict[str, Any]:
    now = timezone.now()
    policies = BackupPolicy.objects.visible_to(principal).select_related("cluster")
    soonest = policies.filter(next_run_at__isnull=False).order_by("next_run_at", "pk")
    planned, unhealthy = list(soonest[:MAX_PLANNED]), _unhealthy_policies(principal)
    next_runs = planned[:NEXT_RUNS]
    late = [
        policy
        for policy in next_runs
        if policy.next_run_at and policy.next_run_at <= now - OVERDUE_AFTER
    ]
    return coverage_figures(principal, now) | {
        "now": now,
        "overdue": next(iter(late), None),
        "late": late,
        "retention_overdue": longest_overdue_retention(principal),
        "failing": unhealthy[:MAX_FAILING],
        "more_failing": len(unhealthy) > MAX_FAILING,
        "next_runs": next_runs,
        "planned": planned,
    }


def _unhealthy_policies(principal: Principal) -> list[UnhealthyPolicy]:
    """Return the policies that are late or whose last finished run made no complete backup, most
    severe first.
    """
    policies = with_health(BackupPolicy.objects.with_last_run()).with_ended_run()
    policies = policies.visible_to(principal)
    failing = policies.filter(health__in=UNHEALTHY)  # type: ignore[misc]  # annotation
    order = ("severity", F("last_run__created_at").desc(nulls_last=True), "pk")
    listed = list(failing.order_by(*order)[: MAX_FAILING + 1])
    ended_ids = {policy.pk: policy.ended_run_id for policy in listed}  # type: ignore[attr-defined]
    ended = runs_of(principal).in_bulk(set(ended_ids.values()))
    return [
        UnhealthyPolicy(
            policy=policy,
            run=ended.get(ended_ids[policy.pk]),
            schedule_error=schedule_error(policy),
        )
        for policy in listed
    ]
