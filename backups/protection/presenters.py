"""What pages show of protection, in a number of queries that does not grow."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from backups.policies.health import UNHEALTHY
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
SEEN_LATELY = timedelta(minutes=10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnhealthyPolicy:
    """A policy to look at, and the run that says why; a late one may have none."""

    policy: BackupPolicy
    run: PolicyRun | None
    unreadable: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionRow:
    """A known collection, and the policies that take it; paused ones do not."""

    collection: KnownCollection
    policies: list[BackupPolicy]
    paused: list[BackupPolicy]
    now: datetime

    @property
    def state(self) -> str:
        if self.collection.policy_id is None:
            return "UNCOVERED"
        ends = self.collection.rpo_deadline
        return "STALE" if ends is not None and ends <= self.now else "COVERED"

    @property
    def is_old_news(self) -> bool:
        """Its cluster was not seen lately."""
        return self.collection.seen_at < self.now - SEEN_LATELY

    @property
    def cluster(self) -> Cluster:
        return self.collection.cluster


def known_to(principal: Principal) -> Any:
    """Collections that can still be lost, with all that a list shows of each."""
    known = KnownCollection.objects.living().visible_to(principal)
    return known.select_related("cluster__inventory_scan", "newest_backup", "proven_backup")


def collection_rows(
    principal: Principal, collections: Iterable[KnownCollection]
) -> list[CollectionRow]:
    listed, now = list(collections), timezone.now()
    policies = _policies_of(principal, {each.cluster_id for each in listed})
    return [_row(each, policies[each.cluster_id, each.db_name], now) for each in listed]


def _policies_of(
    principal: Principal, cluster_ids: set[str]
) -> dict[tuple[str, str], list[BackupPolicy]]:
    found: dict[tuple[str, str], list[BackupPolicy]] = defaultdict(list)
    for policy in BackupPolicy.objects.visible_to(principal).filter(cluster__in=cluster_ids):
        found[policy.cluster_id, policy.db_name].append(policy)
    return found


def _row(collection: KnownCollection, policies: list[BackupPolicy], now: datetime) -> CollectionRow:
    """One whose schedule nobody understands any more takes nothing, as it was judged."""
    taking = [
        each
        for each in policies
        if each.pk == collection.policy_id or covers(each.collection_names, collection.name)
    ]
    active = [each for each in taking if each.is_active]
    return CollectionRow(
        collection=collection,
        policies=active if collection.policy_id else [],
        paused=[each for each in taking if not each.is_active],
        now=now,
    )


def figures_of_cluster(principal: Principal, cluster: Cluster) -> dict[str, int]:
    own = KnownCollection.objects.living().visible_to(principal).filter(cluster=cluster)
    return own.figures(timezone.now())


def counted(principal: Principal, now: datetime) -> dict[str, Any]:
    """How many collections are covered, stale and uncovered, and how far that can be trusted."""
    known = KnownCollection.objects.living().visible_to(principal)
    return {"figures": known.figures(now), "unseen": _unseen(principal)}


def at_a_glance(principal: Principal) -> dict[str, Any]:
    """What the overview says of an organization's protection."""
    now = timezone.now()
    planned, failing = _planned(principal), _failing(principal)
    late = [
        each for each in planned if each.next_run_at and each.next_run_at <= now - OVERDUE_AFTER
    ]
    return counted(principal, now) | {
        "now": now,
        "overdue": next(iter(late), None),
        "late": late,
        "retention_overdue": longest_overdue_retention(principal),
        "failing": failing[:MAX_FAILING],
        "more_failing": len(failing) > MAX_FAILING,
        "next_runs": planned,
    }


def _planned(principal: Principal) -> list[BackupPolicy]:
    """What runs next; the first is the most overdue one, where one is."""
    policies = BackupPolicy.objects.visible_to(principal).select_related("cluster")
    planned = policies.filter(next_run_at__isnull=False).order_by("next_run_at", "pk")
    return list(planned[:NEXT_RUNS])


def _failing(principal: Principal) -> list[UnhealthyPolicy]:
    """Policies that nobody fires, or whose last run that has ended made no whole backup; those
    first that want most to be looked at.
    """
    policies = BackupPolicy.objects.with_last_run().with_standing().with_ended_run()
    policies = policies.visible_to(principal)
    failing = policies.filter(health__in=UNHEALTHY)  # type: ignore[misc]  # it is annotated
    order = ("severity", F("last_run__created_at").desc(nulls_last=True), "pk")
    listed = list(failing.order_by(*order)[: MAX_FAILING + 1])
    ended_ids = {each.pk: each.ended_run_id for each in listed}  # type: ignore[attr-defined]
    ended = runs_of(principal).in_bulk(set(ended_ids.values()))
    return [
        UnhealthyPolicy(
            policy=each, run=ended.get(ended_ids[each.pk]), unreadable=schedule_error(each)
        )
        for each in listed
    ]


def _unseen(principal: Principal) -> dict[str, Any]:
    """What the figures leave out: running clusters that did not answer more than once, of which
    only old news are known, and collections beyond the number that is kept.
    """
    looks = InventoryScan.objects.visible_to(principal).filter(cluster__wanted_running=True)
    silent = Q(failures__gt=1, cluster__condition=Condition.RUNNING)
    return looks.order_by().aggregate(
        clusters=Count("pk", filter=silent),
        since=Min("scanned_at", filter=silent),
        collections=Sum("omitted_count"),
    )
