"""The driver that this console works with, made once per process from the settings, and the
values it is given.
"""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from clusters.drivers import load_driver
from clusters.drivers.base import ClusterDriver, ClusterSpec
from clusters.models import Cluster
from clusters.resources import Resources, resources_of
from vbase_console.encryption import derived_key


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
