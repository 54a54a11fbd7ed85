"""An undo removes the database that the restore created, and keeps one that existed before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups.milvus.client import Client
from backups.milvus.losses import MARK
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.backups.interruption import Dead, dies, taken_over
from vbase_console.tasks import services as tasks
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
NAME = "elsewhere"


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=20)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


@pytest.fixture
def job(backup: Backup, cluster: Cluster) -> BackupJob:
    return plan_restore(backup, cluster, db_name=NAME).submit(by="alice")


def dies_when_it_is_made(
    job: BackupJob, monkeypatch: pytest.MonkeyPatch, *, before: bool = False
) -> None:
    call = Client.call

    def die(self: Client, method: str, *given: object, **options: float) -> object:
        if before and method == "CreateDatabase":
            raise Dead
        answer = call(self, method, *given, **options)
        if method == "CreateDatabase":
            raise Dead
        return answer

    monkeypatch.setattr(Client, "call", die)
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()


def cancelled(job: BackupJob) -> str:
    tasks.request_cancel(job.task, by="alice")
    return str(taken_over(job.task).state)


def test_one_that_was_made_and_not_noted_goes_with_the_restore(
    job: BackupJob, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_when_it_is_made(job, monkeypatch)
    assert NAME in milvus.list_databases()
    assert cancelled(job) == "CANCELLED"
    assert milvus.list_databases() == ["default"]


def test_one_that_somebody_else_made_first_is_left(
    job: BackupJob, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_when_it_is_made(job, monkeypatch, before=True)
    job.task.refresh_from_db()
    assert job.task.checkpoint["makes_database"]
    milvus.create_database(NAME)
    assert cancelled(job) == "CANCELLED"
    assert NAME in milvus.list_databases()


def test_one_that_somebody_has_put_a_collection_into_is_left(
    job: BackupJob, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_when_it_is_made(job, monkeypatch)
    milvus.use_database(NAME)
    fill(milvus, "own", rows=1)
    assert cancelled(job) == "CANCELLED"
    assert milvus.list_collections() == ["own"]


def test_after_the_restore_it_is_its_tenants(
    job: BackupJob, milvus: MilvusClient, work: Work
) -> None:
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED"
    assert MARK not in milvus.describe_database(NAME)


def test_a_death_before_any_effect_and_a_cancel_leave_no_database(
    backup: Backup, cluster: Cluster, milvus: MilvusClient
) -> None:
    for effect in range(1, 100):
        job = plan_restore(backup, cluster, db_name=NAME).submit(by="alice")
        if not dies(job.task, at=effect):
            break
        ended = cancelled(job)
        if ended == "SUCCEEDED":
            break
        assert (ended, milvus.list_databases()) == ("CANCELLED", ["default"]), effect
    assert effect > 5
