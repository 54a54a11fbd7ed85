"""What a driver sees, as a cluster's row keeps it."""

from __future__ import annotations

from django.db.models import Count
from django.utils import timezone

from clusters.drivers.base import Observation, Presence
from clusters.drivers.sandbox.process import Level
from clusters.hands import get_driver
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.component_health import Component, Health

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
