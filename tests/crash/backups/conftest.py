"""A real cluster, a real store, and worker processes that see both as this process does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.stores.local import LocalStore
from clusters import driver as clusters_driver
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import cluster as cluster
from tests.backups.conftest import machine as machine
from tests.backups.conftest import milvus as milvus
from tests.backups.conftest import store as store
from tests.crash.backups.stage import Stage
from tests.crash.backups.workers import Workers
from vbase_console.core.encryption import derived_key


@pytest.fixture
def driver(
    machine: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[EmbeddedDriver]:
    """With the key that other processes derive too."""
    settings.CLUSTER_DRIVER = "embedded"
    clusters_driver.get_driver.cache_clear()
    own = EmbeddedDriver(machine, derived_key("cluster control"))
    monkeypatch.setattr(clusters_driver, "load_driver", lambda *a, **k: own)
    yield own
    clusters_driver.get_driver.cache_clear()


@pytest.fixture(autouse=True)
def _no_lease_ends_by_itself(settings: Any) -> None:
    """Tests end leases; a busy machine must not."""
    settings.LEASE_SECONDS = 60


@pytest.fixture
def workers(machine: Path, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(machine, tmp_path)
    yield started
    started.close()


@pytest.fixture
def stage(cluster: Cluster, milvus: MilvusClient, store: LocalStore) -> Stage:
    """With two collections, and a backup of them."""
    made = Stage(cluster, milvus, store)
    made.fill()
    made.backup = made.back_up()
    return made
