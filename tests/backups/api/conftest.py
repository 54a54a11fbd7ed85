"""Most of the API is about rows: here clusters are in memory, and no Milvus runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backups.models import Backup
from clusters import driver as clusters_driver
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.fixtures import api, key_with, open_door, stranger
from tests.backups.seeds import seed_backup

__all__ = ["api", "key_with", "open_door", "stranger"]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryDriver]:
    clusters_driver.get_driver.cache_clear()
    own = MemoryDriver()
    monkeypatch.setattr(clusters_driver, "load_driver", lambda *a, **k: own)
    yield own
    clusters_driver.get_driver.cache_clear()


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
