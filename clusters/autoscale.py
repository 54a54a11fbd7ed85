"""Autoscaling: a pure decision on load samples, and the sweep that samples and applies it."""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from clusters.driver import driver_of
from clusters.drivers.base import DriverError
from clusters.models import Cluster, LoadSample
from clusters.resources import resources_of
from clusters.services import scale_cluster
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.core.errors import ConsoleError
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

AUTOSCALER = "autoscaling"
SCALE_UP_THRESHOLD = 0.85
SCALE_UP_WINDOW = timedelta(seconds=60)
SCALE_DOWN_THRESHOLD = 0.30
SCALE_DOWN_WINDOW = timedelta(minutes=5)
COOLDOWN = timedelta(minutes=2)
MIN_USAGE_GAIN = 1.05
"""A step up was useful if it raised the CPU use by at least 5 %."""
SAMPLE_RETENTION = SCALE_DOWN_WINDOW + timedelta(minutes=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """CPU seconds used since the process started, and the cores available at that time."""

    at: datetime
    cpu_seconds: float
    cores: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScalingStep:
    at: datetime
    from_units: int
    to_units: int
    cores_used_before: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    units: int
    reason: str
    cores_used: float


def decide(
    samples: Sequence[Sample],
    *,
    units: int,
    min_units: int,
    max_units: int,
    last_step: ScalingStep | None,
    now: datetime,
) -> Decision | None:
    """Decide on one unit up or down. Returns None if nothing is to do or too little is known.

    `samples` are in order of time. The function is pure, so that it is tested on recorded load.
    """
    if last_step and abs(now - last_step.at) < COOLDOWN:
        return None
    busy = _usage(samples, SCALE_UP_WINDOW, now)
    if (
        busy
        and busy.ratio > SCALE_UP_THRESHOLD
        and units < max_units
        and not _was_useless(last_step, units, busy)
    ):
        return _decision(
            units + 1, busy, f"above {SCALE_UP_THRESHOLD:.0%} for {SCALE_UP_WINDOW.seconds} s"
        )
    idle = _usage(samples, SCALE_DOWN_WINDOW, now)
    if idle and idle.ratio < SCALE_DOWN_THRESHOLD and units > min_units:
        return _decision(
            units - 1, idle, f"below {SCALE_DOWN_THRESHOLD:.0%} for {SCALE_DOWN_WINDOW.seconds} s"
        )
    return None


@dataclasses.dataclass(frozen=True)
class _Usage:
    cores_used: float
    ratio: float


def _usage(samples: Sequence[Sample], window: timedelta, now: datetime) -> _Usage | None:
    """Mean use over the window. Returns None if the samples do not span the window, or if the
    process or its cores changed within it.
    """
    begin = [sample for sample in samples if sample.at <= now - window]
    inside = [sample for sample in samples if now - window < sample.at <= now]
    if not begin or not inside:
        return None
    spanned = [begin[-1], *inside]
    steady = len({sample.cores for sample in spanned}) == 1
    restarted = any(b.cpu_seconds < a.cpu_seconds for a, b in zip(spanned, inside, strict=False))
    seconds = (spanned[-1].at - spanned[0].at).total_seconds()
    if not steady or restarted or seconds <= 0 or spanned[0].at < now - 2 * window:
        return None
    used = (spanned[-1].cpu_seconds - spanned[0].cpu_seconds) / seconds
    return _Usage(cores_used=used, ratio=used / spanned[-1].cores)


def _was_useless(last_step: ScalingStep | None, units: int, busy: _Usage) -> bool:
    """True if the latest step up did not raise the use, so that another one would not either."""
    if (
        last_step is None
        or last_step.to_units <= last_step.from_units
        or last_step.to_units != units
    ):
        return False
    return busy.cores_used < last_step.cores_used_before * MIN_USAGE_GAIN


def _decision(units: int, usage: _Usage, threshold: str) -> Decision:
    share = f"{usage.cores_used:.2f} cores in use, {usage.ratio:.0%} of the available ones"
    reason = f"Autoscaling to {units}: {share}, {threshold}."
    return Decision(units=units, reason=reason, cores_used=usage.cores_used)


# -- the sweep -------------------------------------------------------------------------------------


def autoscale_all() -> int:
    """Sample and scale every running cluster with autoscaling. Returns the number of steps."""
    now = timezone.now()
    LoadSample.objects.filter(at__lt=now - SAMPLE_RETENTION).delete()
    alive = Cluster.objects.alive().of_real_organizations()
    clusters = alive.filter(enable_auto_scaling=True, condition=Condition.RUNNING)
    measured = [cluster for cluster in clusters if _store_sample(cluster)]
    samples: dict[str, list[Sample]] = defaultdict(list)
    for row in LoadSample.objects.filter(cluster__in=measured).order_by("at", "pk"):
        sample = Sample(at=row.at, cpu_seconds=row.cpu_seconds, cores=row.cores)
        samples[row.cluster_id].append(sample)
    return sum(_scale_by_load(cluster, samples[cluster.pk]) for cluster in measured)


def _store_sample(cluster: Cluster) -> bool:
    try:
        load = driver_of(cluster).load(cluster.cluster_id)
    except DriverError as error:
        logger.warning("%s: load not measured: %s", cluster.cluster_id, error)
        return False
    if load is None:
        return False
    LoadSample.objects.create(
        cluster=cluster, at=load.measured_at, cpu_seconds=load.cpu_seconds, cores=load.cores
    )
    return True


AT_REST = (ServiceStatus.RUNNING, ServiceStatus.UPDATE_FAILED)


def _scale_by_load(cluster: Cluster, samples: Sequence[Sample]) -> bool:
    """Decide and enqueue a step. Returns False during a change, because the load of a change says
    nothing about the time after it, and if the step is refused.
    """
    if cluster.status not in AT_REST:
        return False
    resources = resources_of(cluster)
    # Units beyond the driver's cores have no effect.
    cores = driver_of(cluster).capabilities.max_effective_cores or resources.max_compute_units
    decision = decide(
        samples,
        units=resources.units,
        min_units=resources.compute_units,
        max_units=min(resources.max_compute_units, cores),
        last_step=_last_step(cluster),
        now=timezone.now(),
    )
    if decision is None:
        return False
    facts = {"from_units": resources.units, "cores_used": decision.cores_used}
    try:
        scale_cluster(
            cluster,
            changes={"autoscaled_units": decision.units},
            by=AUTOSCALER,
            reason=decision.reason,
            facts=facts,
        )
    except ConsoleError:
        return False
    return True


def _last_step(cluster: Cluster) -> ScalingStep | None:
    """The latest finished step, also a failed one, so that a failure is not repeated at once."""
    steps = Task.objects.changes_of(cluster.cluster_id).filter(
        kind=TaskKind.SCALING, requested_by=AUTOSCALER, state__in=FINISHED
    )
    task = steps.order_by("-pk").first()
    if task is None or task.finished_at is None:
        return None
    return ScalingStep(
        at=task.finished_at,
        from_units=task.arguments["from_units"],
        to_units=task.arguments["changes"]["autoscaled_units"],
        cores_used_before=task.arguments["cores_used"],
    )
