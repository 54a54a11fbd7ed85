"""Start runs of due policies. Any number of dispatchers start each planned instant once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from operator import itemgetter

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from backups.policies.cron import BadCron, BadZone
from backups.policies.days import record_gap
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.runs import start_run
from backups.policies.services import next_run_after
from backups.policies.states import OVERDUE_AFTER
from clusters.models import Cluster
from vbase_console.core.errors import Aborted
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.tenancy import only_row
from vbase_console.organizations.versions import changed
from vbase_console.tasks.services import batch_wakeups

logger = logging.getLogger(__name__)

Due = tuple[str, str, datetime]
"""Policy, cluster and planned instant."""
BATCH_SIZE = 500
RUNS_PER_TRANSACTION = 20
SWEEP_TIMEOUT_SECONDS = 20.0
CATCH_UP_AFTER = timedelta(seconds=60)
"""A run later than this is a catch-up; an earlier one was delayed by a busy dispatcher."""
EXPECTED_ERRORS = (IntegrityError, OperationalError, Aborted, BadCron, BadZone)
"""Errors that are logged without a traceback."""


class Every:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + self._seconds
        return True


_throttle = LogThrottle(minutes=60)


def fire_due() -> int:
    """Start all due runs. Returns their number.

    A transaction covers a few runs, because one for every run would wait for the disk a thousand
    times in a busy minute. A run that fails is rolled back alone.
    """
    fired, until, due = 0, time.monotonic() + SWEEP_TIMEOUT_SECONDS, _all_due()
    while time.monotonic() <= until and (batch := list(islice(due, RUNS_PER_TRANSACTION))):
        with batch_wakeups(), transaction.atomic():
            # Clusters are always locked in the same order.
            fired += sum(_try_fire(*due_run) for due_run in sorted(batch, key=itemgetter(1)))
    return fired


def correct_next_runs() -> int:
    """Correct runs planned later than the schedule's next instant. Returns their number.

    Such a plan exists after a clock was set back, or came from a machine whose clock was ahead. An
    instant that the clock shows twice is fired once: `fire` finds its run and plans the next one.
    """
    now, corrected = timezone.now(), 0
    policies = BackupPolicy.objects.of_real_organizations()
    for policy in policies.filter(next_run_at__gt=now).iterator():
        try:
            due_at = next_run_after(policy, now)
        except (BadCron, BadZone):
            continue  # such a policy is never due; the health answer shows it when it should be
        if policy.next_run_at is not None and due_at < policy.next_run_at:
            planned = BackupPolicy.objects.filter(pk=policy.pk, next_run_at=policy.next_run_at)
            corrected += planned.update(next_run_at=due_at)
            changed(policy.organization_id)
    if corrected:
        logger.warning("%s policies: next runs corrected, the clock was set back", corrected)
    return corrected


def _all_due() -> Iterator[Due]:
    """Yield each due policy once, so that policies that cannot be fired do not hide others.

    The order is round-robin by organization, the longest waiting first, so that an organization
    with many policies does not starve one with few.
    """
    tried: list[str] = []
    while True:
        turn = Window(
            RowNumber(), partition_by=F("organization_id"), order_by=[F("next_run_at"), F("pk")]
        )
        due = BackupPolicy.objects.due(timezone.now()).exclude(pk__in=tried)
        in_turn = due.annotate(turn=turn).order_by("turn", "next_run_at", "pk")
        rows = in_turn.values_list("pk", "cluster_id", "next_run_at")[:BATCH_SIZE]
        batch = [(pk, cluster_id, at) for pk, cluster_id, at in rows if at is not None]
        yield from batch
        if len(batch) < BATCH_SIZE:
            return
        tried += [policy_id for policy_id, _, _ in batch]


def _try_fire(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """Fire a policy. One that fails stays due, which the health answer shows."""
    try:
        fired = fire(policy_id, cluster_id, planned_at)
    except Exception as error:
        if _throttle.should_log(policy_id, error):
            unexpected = None if isinstance(error, EXPECTED_ERRORS) else error
            message = "%s: run planned for %s could not be started: %s"
            logger.warning(message, policy_id, planned_at, error, exc_info=unexpected)
        return False
    _throttle.reset(policy_id)
    return fired


@transaction.atomic
def fire(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """Start one run. Returns False if another dispatcher or a change was first."""
    now = timezone.now()
    cluster = Cluster.objects.locked(cluster_id)
    planned = BackupPolicy.objects.filter(pk=policy_id, next_run_at=planned_at)
    fired_before = PolicyRun.objects.filter(policy=OuterRef("pk"), planned_at=planned_at)
    policy = only_row(planned.filter(~Exists(fired_before)))
    if policy is None:
        # skip an instant that was fired before, as after a clock was set back
        after = max(planned_at, now)
        changed(cluster.organization_id)
        return any(
            planned.update(next_run_at=next_run_after(policy, after)) for policy in list(planned)
        )
    policy.cluster = cluster
    is_catch_up = now - planned_at > CATCH_UP_AFTER
    if is_catch_up:
        record_gap(policy, planned_at, now)
    start_run(
        policy,
        planned_at=planned_at,
        next_run_at=next_run_after(policy, max(planned_at, now)),
        is_catch_up=is_catch_up,
        by=f"policy:{policy_id}",
    )
    return True


def overdue_since() -> datetime | None:
    """Planned instant of the longest overdue policy. None if no policy is overdue."""
    waiting = BackupPolicy.objects.due(timezone.now() - OVERDUE_AFTER)
    return waiting.order_by("next_run_at").values_list("next_run_at", flat=True).first()
