"""Most of the API is about rows: here clusters are in memory, and no Milvus runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.fixtures import api, key_with, stranger, without_key
from tests.backups.seeds import seed_backup
from tests.backups.without_milvus import driver

__all__ = ["api", "driver", "key_with", "stranger", "without_key"]


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster], driver: MemoryDriver) -> Cluster:
    return make_cluster()


@pytest.fixture
def backup(cluster: Cluster) -> Backup:
    return seed_backup(cluster, "nightly")


@pytest.fixture
def of(cluster: Cluster) -> str:
    """The address of the cluster's backups."""
    return f"/{cluster.service_id}/backup"
