"""Due policies into runs: whoever calls this, however often and from wherever at once, each planned
instant is fired once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from backups.policies.cron import BadCron, BadZone
from backups.policies.models import BackupPolicy, PolicyQuerySet, PolicyRun
from backups.policies.runs import start_run
from backups.policies.services import next_run_after
from backups.policies.states import OVERDUE_AFTER
from clusters.models import Cluster
from vbase_console.core.errors import Aborted
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.tenancy import only_row
from vbase_console.tasks.services import batch_wakeups

logger = logging.getLogger(__name__)

Due = tuple[str, str, datetime]
"""Policy, cluster and planned instant."""
BATCH_SIZE = 500
RUNS_PER_TRANSACTION = 20
SWEEP_TIMEOUT_SECONDS = 20.0
CATCH_UP_AFTER = timedelta(seconds=60)
"""Later than this nobody was there to fire; before it the dispatcher was only busy."""
EXPECTED_ERRORS = (IntegrityError, OperationalError, Aborted, BadCron, BadZone)
"""What such an error says is all that there is to know."""


class Every:
    """True at the first question, and then once in a while, by a clock that is never set."""

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
    """In short transactions of a few runs each: one of its own for every run would have the disk
    wait a thousand times in a busy minute. A run that fails takes none of its neighbours along.
    """
    fired, until, due = 0, time.monotonic() + SWEEP_TIMEOUT_SECONDS, _all_due()
    while time.monotonic() <= until and (few := list(islice(due, RUNS_PER_TRANSACTION))):
        with batch_wakeups(), transaction.atomic():
            # Everybody who holds several clusters takes them in the same order.
            fired += sum(_fired(*each) for each in sorted(few, key=_cluster_of))
    return fired


def correct_next_runs() -> int:
    """Plan anew what is planned for later than the schedule's next instant: the clock was set back,
    or the plan was made by a machine whose clock was ahead. Returns how many were corrected.

    An instant that comes a second time is fired once: `fire` finds its run and plans the next one.
    """
    now, corrected = timezone.now(), 0
    for policy in BackupPolicy.objects.filter(next_run_at__gt=now).iterator():
        try:
            due_at = next_run_after(policy, now)
        except (BadCron, BadZone):
            continue  # such a policy is never due; the health answer shows it when it should be
        if policy.next_run_at is not None and due_at < policy.next_run_at:
            planned = BackupPolicy.objects.filter(pk=policy.pk, next_run_at=policy.next_run_at)
            corrected += planned.update(next_run_at=due_at)
    if corrected:
        logger.warning("%s policies: next runs corrected, the clock was set back", corrected)
    return corrected


def _cluster_of(due: Due) -> str:
    return due[1]


def _all_due() -> Iterator[Due]:
    """Each once, so that any number of rows that cannot be fired hides none behind them."""
    tried: list[str] = []
    while True:
        found = _due(tried)
        yield from found
        if len(found) < BATCH_SIZE:
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
    rows = in_turn.values_list("pk", "cluster_id", "next_run_at")[:BATCH_SIZE]
    return [(pk, cluster_id, at) for pk, cluster_id, at in rows if at is not None]


def _fired(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """A policy that cannot be fired stays due, which the health answer shows, and is in nobody's
    way.
    """
    try:
        fired = fire(policy_id, cluster_id, planned_at)
    except Exception as error:
        if _throttle.should_log(policy_id, error):
            unforeseen = None if isinstance(error, EXPECTED_ERRORS) else error
            message = "%s: its run of %s waits: %s"
            logger.warning(message, policy_id, planned_at, error, exc_info=unforeseen)
        return False
    _throttle.reset(policy_id)
    return fired


@transaction.atomic
def fire(policy_id: str, cluster_id: str, planned_at: datetime) -> bool:
    """One run of one policy; False where another dispatcher, or a change, was first."""
    now = timezone.now()
    cluster = Cluster.objects.locked(cluster_id)
    planned = BackupPolicy.objects.filter(pk=policy_id, next_run_at=planned_at)
    policy = only_row(planned.filter(~_run_of(planned_at)))
    if policy is None:
        return _planned_anew(planned, after=max(planned_at, now))
    policy.cluster = cluster
    start_run(
        policy,
        planned_at=planned_at,
        next_run_at=next_run_after(policy, max(planned_at, now)),
        is_catch_up=now - planned_at > CATCH_UP_AFTER,
        by=f"policy:{policy_id}",
    )
    return True


def _run_of(planned_at: datetime) -> Exists:
    return Exists(PolicyRun.objects.filter(policy=OuterRef("pk"), planned_at=planned_at))


def _planned_anew(planned: PolicyQuerySet, *, after: datetime) -> bool:
    """What was fired for this instant before, as after a clock was set back, is fired no more."""
    return any(
        planned.update(next_run_at=next_run_after(policy, after)) for policy in list(planned)
    )


def overdue_since() -> datetime | None:
    """Since when the longest waiting policy should have run; None where none waits for long."""
    waiting = BackupPolicy.objects.due(timezone.now() - OVERDUE_AFTER)
    return waiting.order_by("next_run_at").values_list("next_run_at", flat=True).first()
