"""One full Milvus for all, and in it databases of this process alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups import connections
from backups.milvus.client import Client, MilvusAddress
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.drivers.base import ConsoleAccess, Endpoint
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.drivers.launched import wait_for
from tests.full_milvus.server import full_milvus, program
from vbase_console.tasks.models import Task

CREDENTIAL = "root:Milvus"
_START_SECONDS = 180

Work = Callable[[], int]
BackUp = Callable[..., BackupJob]
Restore = Callable[..., Task]


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if program() is None:
        pytest.skip("milvus-server is not installed")
    with full_milvus(tmp_path_factory.mktemp("full") / "data") as port:
        wait_for(lambda: _answers(port), _START_SECONDS)
        yield port


def _answers(port: int) -> bool:
    try:
        with Client(address(port), quick_seconds=5) as client:
            return "default" in client.databases()
    except MilvusError:
        return False


def address(port: int, credential: str = CREDENTIAL, database: str = "default") -> MilvusAddress:
    return MilvusAddress(host="127.0.0.1", port=port, credential=credential, database=database)


@pytest.fixture(scope="session")
def make_database(port: int) -> Callable[[], str]:
    """Create databases with unused names. They end with their server, which allows 64."""

    def make() -> str:
        name = f"db_{uuid.uuid4().hex[:8]}"
        with Client(address(port)) as client:
            client.create_database(name)
        return name

    return make


@pytest.fixture(scope="session")
def database(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture(scope="session")
def tenant(port: int, database: str) -> Iterator[MilvusClient]:
    client = MilvusClient(f"http://127.0.0.1:{port}", token=CREDENTIAL, db_name=database)
    yield client
    client.close()


@pytest.fixture(scope="session")
def milvus(port: int, database: str) -> Iterator[Client]:
    with Client(address(port, database=database)) as client:
        yield client


@pytest.fixture
def cluster(
    make_cluster: Callable[..., Cluster],
    driver: MemoryDriver,
    port: int,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """A row of the console whose Milvus is the full one."""
    access = ConsoleAccess(
        endpoint=Endpoint(host="127.0.0.1", port=port), credential=CREDENTIAL, control=None
    )
    monkeypatch.setattr(driver, "console_access", lambda cluster_id: access)
    settings.BACKUP_STORE = str(tmp_path / "store")
    settings.LEASE_SECONDS = 60
    connections.get_store.cache_clear()
    yield make_cluster()
    connections.get_store.cache_clear()


@pytest.fixture
def back_up(cluster: Cluster, database: str, work: Work) -> BackUp:
    """Take a backup of some collections. Returns its job, which has ended."""

    def back_up(*names: str, **options: Any) -> BackupJob:
        chosen = {"db_name": database, "collection_names": names, **options}
        job = plan_backup(cluster, **chosen).submit(by="alice")
        work()
        return BackupJob.objects.select_related("task", "backup").get(pk=job.pk)

    return back_up


@pytest.fixture
def restore(cluster: Cluster, work: Work) -> Restore:
    """Restore a backup. Returns the task, which has ended."""

    def restore(backup: Backup, **options: Any) -> Task:
        job = plan_restore(backup, cluster, **options).submit(by="alice")
        work()
        return Task.objects.get(pk=job.pk)

    return restore
