"""What a driver sees, as a cluster's row keeps it."""

from __future__ import annotations

from django.utils import timezone

from clusters.drivers.base import Observation, Presence
from clusters.hands import get_driver
from clusters.models import Cluster
from clusters.states import Condition

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
    }
    if seen.presence is Presence.RUNNING:
        changes["seen_at"] = timezone.now()
    if seen.endpoint:
        changes |= {"host": seen.endpoint.host, "port": seen.endpoint.port}
    return changes
