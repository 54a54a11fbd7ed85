"""One embedded cluster for the whole room; every process it starts is ended by its pid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient

from backups.milvus.client import Client
from backups.milvus.snapshot import Snapshots
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.layout import CONSOLE_SNAPSHOTS
from tests.drivers.launched import CONTROL, Launched
from tests.milvus.rooms import Room, endpoint


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = Launched(tmp_path_factory.mktemp("cluster") / "data", "--cores", "2").start()
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def tenant(cluster: Launched) -> MilvusClient:
    """pymilvus, as a tenant uses it: an independent way to write what we read."""
    return cluster.client()


@pytest.fixture(scope="session")
def milvus(cluster: Launched) -> Iterator[Client]:
    with Client(endpoint(cluster.port, CONTROL)) as client:
        yield client


@pytest.fixture(scope="session")
def snapshots(cluster: Launched) -> Snapshots:
    return Snapshots(ControlClient(cluster.port, CONTROL), cluster.data_dir / CONSOLE_SNAPSHOTS)


@pytest.fixture(scope="session")
def room(tenant: MilvusClient, milvus: Client, snapshots: Snapshots) -> Room:
    return Room(tenant=tenant, milvus=milvus, snapshots=snapshots)
