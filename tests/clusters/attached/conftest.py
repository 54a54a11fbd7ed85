"""A Milvus that the console did not make, and the attached driver beside the memory driver."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups import connections as backup_connections
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.client import Api
from tests.api.fixtures import api, key_with, stranger
from tests.clusters.attached.drivers import beside_attached
from tests.clusters.attached.servers import FakeMilvus, LiteServer
from tests.drivers.launched import TOKEN

__all__ = ["api", "key_with", "stranger"]


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryDriver]:
    """The memory driver for clusters that the console makes; `attached` is the real driver."""
    own = MemoryDriver()
    with beside_attached(own, monkeypatch):
        yield own


@pytest.fixture
def store(tmp_path: Path, settings: Any) -> Iterator[None]:
    settings.BACKUP_STORE = str(tmp_path / "store")
    backup_connections.get_store.cache_clear()
    yield
    backup_connections.get_store.cache_clear()


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[LiteServer]:
    """A real Milvus that no console operates."""
    directory = Path(tempfile.mkdtemp(prefix="vbase-elsewhere-"))
    server = LiteServer(directory / "data")
    yield server
    server.close()
    shutil.rmtree(directory)


@pytest.fixture
def milvus(elsewhere: LiteServer) -> Iterator[MilvusClient]:
    client = elsewhere.client()
    yield client
    for name in client.list_collections():
        client.drop_collection(name)
    client.close()


@pytest.fixture
def fake(request: pytest.FixtureRequest) -> Iterator[FakeMilvus]:
    """A server that answers GetVersion and remembers every token that it received."""
    with FakeMilvus(token=TOKEN) as server:
        yield server


@pytest.fixture
def attach(api: Api, work: Callable[[], int], transactional_db: None) -> Callable[..., Cluster]:
    """Attach a server as a user does, and run the task."""

    def attach(port: int, name: str = "elsewhere", token: str = TOKEN, **fields: Any) -> Cluster:
        body = {"name": name, "endpoint": "127.0.0.1", "port": port, "token": token, **fields}
        said = api.post("/clusters/attach", **body)
        assert said.status == 200, said.body
        work()
        return Cluster.objects.get(pk=said["cluster"]["clusterId"])

    return attach
