"""The Milvus process is killed in the middle of a backup and of a restore."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest
from pymilvus import MilvusClient

from backups import capture, filling, services
from backups.models import Backup
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.hands import spec_of
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import taken_over
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]


def kill(cluster: Cluster) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if f"clusters/{cluster.cluster_id}/data" in " ".join(process.info["cmdline"] or []):
            process.kill()
            process.wait()


def bring_back(driver: EmbeddedDriver, cluster: Cluster) -> None:
    for _ in driver.restart(spec_of(cluster), lambda: None):
        pass


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=100)
    job = services.take_backup(cluster, collection_names=["images"], by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def test_a_backup_goes_on_when_its_cluster_is_back(
    cluster: Cluster,
    milvus: MilvusClient,
    driver: EmbeddedDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=100)
    job = services.take_backup(cluster, collection_names=["images"], by="alice")
    pin = capture._pin
    monkeypatch.setattr(capture, "_pin", lambda *a: (kill(cluster), pin(*a))[1])
    run_task(job.task.task_id)
    monkeypatch.setattr(capture, "_pin", pin)
    job.task.refresh_from_db()
    assert job.task.state == "PENDING"
    bring_back(driver, cluster)
    assert taken_over(job.task).state == "SUCCEEDED"


def test_a_restore_goes_on_when_its_cluster_is_back(
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    driver: EmbeddedDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = rows_of(milvus)
    job = services.restore_backup(backup, cluster, on_conflict="REPLACE", by="alice")
    compare = filling.Filling.compare
    monkeypatch.setattr(filling.Filling, "compare", lambda *a: (kill(cluster), compare(*a))[1])
    run_task(job.task.task_id)
    monkeypatch.setattr(filling.Filling, "compare", compare)
    bring_back(driver, cluster)
    assert taken_over(job.task).state == "SUCCEEDED"
    assert rows_of(milvus) == before
