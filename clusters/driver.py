"""The driver of this console, and its observations as columns of a cluster's row."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from clusters.drivers import load_driver
from clusters.drivers.base import ClusterDriver, ClusterSpec, Observation, Presence
from clusters.drivers.sandbox.process import Level
from clusters.models import Cluster
from clusters.resources import Resources, resources_of
from clusters.states import Condition
from vbase_console.core.component_health import Component, Health
from vbase_console.core.encryption import derived_key


@lru_cache(maxsize=1)
def get_driver() -> ClusterDriver:
    return load_driver(
        settings.CLUSTER_DRIVER,
        data_dir=settings.DATA_DIR,
        control_key=derived_key("cluster control"),
        memory_bytes=settings.CLUSTER_MEMORY_BYTES or None,
    )


def spec_of(cluster: Cluster, resources: Resources | None = None) -> ClusterSpec:
    wanted = resources or resources_of(cluster)
    return ClusterSpec(
        cluster_id=cluster.cluster_id,
        version=wanted.version,
        compute_units=wanted.units,
        replicas=wanted.replicas if wanted.enable_replicas else 1,
        token=cluster.token,
    )


CONDITION_OF: dict[Presence, Condition] = {
    Presence.RUNNING: Condition.RUNNING,
    Presence.STARTING: Condition.BROKEN,
    Presence.STOPPED: Condition.STOPPED,
    Presence.CRASHED: Condition.BROKEN,
    Presence.MISSING: Condition.BROKEN,
}


def observed(cluster: Cluster) -> Observation:
    return get_driver().observe([cluster.cluster_id])[cluster.cluster_id]


def seen_changes(seen: Observation) -> dict[str, object]:
    """The columns that an observation fills."""
    changes: dict[str, object] = {
        "condition": CONDITION_OF[seen.presence],
        "effective_cores": seen.effective_cores,
        "confinement": seen.confinement or "",
    }
    if seen.presence is Presence.RUNNING:
        changes["seen_at"] = timezone.now()
    if seen.endpoint:
        changes |= {"host": seen.endpoint.host, "port": seen.endpoint.port}
    return changes


def confinement() -> Component | None:
    """The lowest level that running clusters report, or that the kernel offers while none runs.

    Returns None if the driver does not confine clusters.
    """
    offered = get_driver().capabilities.confinement
    if offered is None:
        return None
    running = Cluster.objects.alive().filter(condition=Condition.RUNNING).exclude(confinement="")
    counts = dict(running.order_by().values_list("confinement").annotate(clusters=Count("pk")))
    lowest = min((Level(level) for level in counts), key=_LEVELS.index, default=offered)
    if lowest is Level.FULL:
        return Component(status=Health.SERVING, level=lowest)
    affected = counts.get(lowest, 0)
    message = (
        f"{affected} running clusters have only the confinement {lowest}. Their logs name the "
        "reason. A process keeps its level until its cluster is restarted."
        if affected
        else f"The kernel offers the confinement {lowest} to new clusters."
    )
    return Component(status=Health.DEGRADED, message=message, level=lowest)


_LEVELS = (Level.NONE, Level.FILES, Level.FULL)
