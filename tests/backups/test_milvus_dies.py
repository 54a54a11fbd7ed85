"""The Milvus process is killed in the middle of a backup and of a restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from pymilvus import MilvusClient

from backups.capture import job as capture_job
from backups.connections import connect
from backups.milvus.client import Client
from backups.models import Backup
from backups.restore import inserting
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.driver import spec_of
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import taken_over
from vbase_console.tasks import services as tasks
from vbase_console.tasks.models import Task
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
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def test_a_backup_goes_on_when_its_cluster_is_back(
    cluster: Cluster,
    milvus: MilvusClient,
    driver: EmbeddedDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=100)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    pin = capture_job.pin
    monkeypatch.setattr(capture_job, "pin", lambda *a: (kill(cluster), pin(*a))[1])
    run_task(job.task.task_id)
    monkeypatch.setattr(capture_job, "pin", pin)
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
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    compare = inserting.CollectionRestore.compare
    monkeypatch.setattr(
        inserting.CollectionRestore, "compare", lambda *a: (kill(cluster), compare(*a))[1]
    )
    run_task(job.task.task_id)
    monkeypatch.setattr(inserting.CollectionRestore, "compare", compare)
    bring_back(driver, cluster)
    assert taken_over(job.task).state == "SUCCEEDED"
    assert rows_of(milvus) == before


@contextmanager
def killed_before(method: str, number: int, cluster: Cluster) -> Iterator[None]:
    """Milvus does not live to hear the n-th call of that method."""
    begin, seen = Client.begin, 0

    def counted(self: Client, called: str, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += called == method
        if called == method and seen == number:
            kill(cluster)
        return begin(self, called, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "begin", counted)
        yield
    assert seen >= number


DEATHS = [("Insert", 1), ("CreateIndex", 1), ("RenameCollection", 2), ("DropCollection", 2)]


@pytest.mark.parametrize(("method", "number"), DEATHS)
def test_a_restore_ends_as_promised_wherever_its_cluster_was_killed(
    method: str,
    number: int,
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    driver: EmbeddedDriver,
) -> None:
    promised = rows_of(milvus)
    milvus.delete("images", filter="id < 20")
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    with killed_before(method, number, cluster):
        run_task(job.task.task_id)
    assert Task.objects.get(pk=job.pk).state == "PENDING"
    bring_back(driver, cluster)
    assert taken_over(job.task).state == "SUCCEEDED"
    assert (rows_of(milvus), hidden(cluster)) == (promised, [])


@pytest.mark.parametrize(("method", "number"), DEATHS[:3])
def test_cancelled_meanwhile_it_leaves_the_target_as_it_was(
    method: str,
    number: int,
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    driver: EmbeddedDriver,
) -> None:
    milvus.delete("images", filter="id < 20")
    before = rows_of(milvus)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    with killed_before(method, number, cluster):
        run_task(job.task.task_id)
    tasks.request_cancel(Task.objects.get(pk=job.pk), by="alice")
    bring_back(driver, cluster)
    assert ended(job.task) == "CANCELLED"
    assert (rows_of(milvus), hidden(cluster)) == (before, [])


def ended(task: Task) -> str:
    """A task that waited when it was cancelled may have ended without an attempt."""
    task.refresh_from_db()
    return task.state if task.is_finished else taken_over(task).state


def hidden(cluster: Cluster) -> list[str]:
    with connect(cluster, "default") as client:
        return [name for name in client.collections() if name.startswith("_vbase_")]
