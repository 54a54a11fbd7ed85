"""Embedded clusters of several engine versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pymilvus import MilvusClient

from backups.stores.local import LocalStore
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import driver as driver
from tests.backups.conftest import machine as machine
from tests.backups.conftest import store as store
from tests.tasks.trials import end_pause
from vbase_console.tasks.models import Task

OLD, NEW = "3.2.1", "3.2.2"
Connect = Callable[[Cluster], MilvusClient]


@pytest.fixture
def cluster(
    make_cluster: Callable[..., Cluster], driver: EmbeddedDriver, store: LocalStore
) -> Iterator[Cluster]:
    """A running cluster of the old version."""
    cluster = make_cluster(resources={"version": OLD})
    yield cluster
    for cluster_id in driver.cluster_ids():
        list(driver.delete(cluster_id, lambda: None))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect as the tenant, with the current token."""
    clients: list[MilvusClient] = []

    def connect(cluster: Cluster) -> MilvusClient:
        cluster.refresh_from_db()
        address = f"http://{cluster.host}:{cluster.port}"
        clients.append(MilvusClient(address, token=cluster.token, timeout=5))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def finish(work: Callable[[], int]) -> Callable[[Task], Task]:
    """Work until the task has ended, without its pauses."""

    def finish(task: Task) -> Task:
        for _ in range(50):
            work()
            task.refresh_from_db()
            if task.is_finished:
                return task
            end_pause(task)
        raise AssertionError(f"{task.state}: {task.message}")

    return finish
