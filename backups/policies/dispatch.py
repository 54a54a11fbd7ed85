"""Due policies into runs: whoever calls this, however often and from wherever at once, each planned
instant is fired once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from celery import shared_task
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from backups.policies.firing import start_run
from backups.policies.models import BackupPolicy
from backups.policies.services import next_run_after
from clusters.models import Cluster

logger = logging.getLogger(__name__)

Due = tuple[str, str, datetime]
"""Policy, cluster and planned instant."""
AT_ONCE = 500
LONGEST_SECONDS = 20.0
CATCH_UP_AFTER = timedelta(seconds=60)
"""Later than this nobody was there to fire; before it the dispatcher was only busy."""
OVERDUE_AFTER = timedelta(seconds=30)


@shared_task(name="vbase.sweep.policies")
def sweep_policies() -> int:
    """Fire what is due; answers how many runs were begun or skipped."""
    fired, until = 0, time.monotonic() + LONGEST_SECONDS
    for policy_id, cluster_id, planned_at in _all_due():
        if time.monotonic() > until:
            break
        fired += _fired(policy_id, cluster_id, planned_at)
    return fired


def _all_due() -> Iterator[Due]:
    """Each once, so that any number of rows that cannot be fired hides none behind them."""
    tried: list[str] = []
    while True:
        found = _due(tried)
        yield from found
        if len(found) < AT_ONCE:
            return
        tried += [policy_id for policy_id, _, _ in found]


def _due(tried: Sequence[str]) -> list[Due]:
    """In each round the longest waiting policy of every organization: nobody with many starves one
    with few.
    """
    turn = Window(
        RowNumber(), partition_by=F("organization_id"), order_by=[F("next_run_at"), F("pk")]
    )
    due = BackupPolicy.objects.due(timezone.now()).exclude(pk__in=tried)
    in_turn = due.annotate(turn=turn).order_by("turn", "next_run_at", "pk")
    rows = in_turn.values_list("pk", "cluster_id", "next_run_at")[:AT_ONCE]
    return [(pk, cluster_id, at) for pk, cluster_id, at in rows if at is not None]


def _fired(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """A policy that cannot be fired stays due, which the health answer shows, and is in nobody's
    way.
    """
    try:
        return fire(policy_id, cluster_id, planned_at)
    except (IntegrityError, OperationalError) as error:
        logger.warning("%s: its run of %s waits: %s", policy_id, planned_at, error)
    except Exception:
        logger.exception("%s: its run of %s could not be fired", policy_id, planned_at)
    return False


@transaction.atomic
def fire(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """One run of one policy; False where another dispatcher, or a change, was first."""
    now = timezone.now()
    cluster = Cluster.objects.select_for_update(of=("self",)).get(pk=cluster_id)
    policy = BackupPolicy.objects.filter(pk=policy_id, next_run_at=planned_at).first()
    if policy is None:
        return False
    moved = BackupPolicy.objects.filter(pk=policy_id, next_run_at=planned_at).update(
        next_run_at=next_run_after(policy, max(planned_at, now))
    )
    if moved and not policy.runs.filter(planned_at=planned_at).exists():
        policy.cluster = cluster
        late = now - planned_at > CATCH_UP_AFTER
        start_run(policy, planned_at=planned_at, is_catch_up=late, by=f"policy:{policy_id}")
    return bool(moved)


def overdue_since() -> datetime | None:
    """Since when the longest waiting policy should have run; None where none waits for long."""
    waiting = BackupPolicy.objects.due(timezone.now() - OVERDUE_AFTER)
    return waiting.order_by("next_run_at").values_list("next_run_at", flat=True).first()
