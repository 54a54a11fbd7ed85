"""Drivers of clusters, and their observations as columns of a cluster's row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from clusters.attachments import StoredAttachments
from clusters.drivers import load_driver
from clusters.drivers.base import (
    Capabilities,
    ClusterDriver,
    ClusterSpec,
    DriverError,
    Observation,
    Presence,
)
from clusters.drivers.sandbox.process import Level
from clusters.models import Cluster, configured_driver
from clusters.resources import Resources, resources_of
from clusters.states import Condition
from vbase_console.core.component_health import Component, HealthStatus
from vbase_console.core.encryption import derived_key
from vbase_console.core.errors import FailedPrecondition


@lru_cache
def get_driver(name: str) -> ClusterDriver:
    """Load a driver once per process. Raises DriverError if this console does not have it."""
    try:
        return load_driver(
            name,
            data_dir=settings.DATA_DIR,
            control_key=derived_key("cluster control"),
            memory_bytes=settings.CLUSTER_MEMORY_BYTES or None,
            attachments=StoredAttachments(),
        )
    except ValueError as error:
        raise DriverError(str(error), permanent=True) from error


def driver_of(cluster: Cluster) -> ClusterDriver:
    return get_driver(cluster.driver)


def capabilities_of(cluster: Cluster) -> Capabilities:
    """Raises FailedPrecondition if this console does not have the cluster's driver."""
    try:
        return driver_of(cluster).capabilities
    except DriverError as error:
        raise FailedPrecondition(f"{cluster.service_id} cannot be changed. {error}") from error


def is_operated_elsewhere(cluster: Cluster) -> bool:
    """True if the console only uses the server. False if this console does not have the driver."""
    try:
        return driver_of(cluster).capabilities.is_operated_elsewhere
    except DriverError:
        return False


def versions_of(cluster: Cluster) -> Sequence[str]:
    """Versions that the driver offers. Empty if this console does not have the driver."""
    try:
        return driver_of(cluster).capabilities.versions
    except DriverError:
        return ()


def default_driver() -> ClusterDriver:
    return get_driver(configured_driver())


def spec_of(cluster: Cluster, resources: Resources | None = None) -> ClusterSpec:
    resources = resources or resources_of(cluster)
    return ClusterSpec(
        cluster_id=cluster.cluster_id,
        version=resources.version,
        compute_units=resources.units,
        replicas=resources.replicas if resources.enable_replicas else 1,
        token=cluster.token,
    )


CONDITION_OF: dict[Presence, Condition] = {
    Presence.RUNNING: Condition.RUNNING,
    Presence.STARTING: Condition.BROKEN,
    Presence.STOPPED: Condition.STOPPED,
    Presence.CRASHED: Condition.BROKEN,
    Presence.MISSING: Condition.BROKEN,
    Presence.SILENT: Condition.BROKEN,
    Presence.UNREACHABLE: Condition.BROKEN,
}


def observe(cluster: Cluster) -> Observation:
    return driver_of(cluster).observe([cluster.cluster_id])[cluster.cluster_id]


def columns_of(observation: Observation) -> dict[str, object]:
    changes: dict[str, object] = {
        "condition": CONDITION_OF[observation.presence],
        "effective_cores": observation.effective_cores,
        "confinement": observation.confinement or "",
    }
    if observation.presence is Presence.RUNNING:
        changes["seen_at"] = timezone.now()
    if observation.version:
        changes["version"] = observation.version
    if endpoint := observation.endpoint:
        changes |= {"host": endpoint.host, "port": endpoint.port}
    return changes


def confinement() -> Component | None:
    """The lowest level that running clusters report, or that new clusters get while none runs.

    Returns None if neither the default driver nor a running cluster is confined.
    """
    offered = default_driver().capabilities.confinement
    running = Cluster.objects.alive().filter(condition=Condition.RUNNING).exclude(confinement="")
    counts = dict(running.order_by().values_list("confinement").annotate(clusters=Count("pk")))
    lowest = min((Level(level) for level in counts), key=_LEVELS.index, default=offered)
    if lowest is None:
        return None
    if lowest is Level.FULL:
        return Component(status=HealthStatus.SERVING, level=lowest)
    affected = counts.get(lowest, 0)
    message = (
        f"{affected} running clusters have only the confinement {lowest}. Their logs name the "
        "reason. A process keeps its level until its cluster is restarted."
        if affected
        else f"The kernel offers the confinement {lowest} to new clusters."
    )
    return Component(status=HealthStatus.DEGRADED, message=message, level=lowest)


_LEVELS = (Level.NONE, Level.FILES, Level.FULL)
