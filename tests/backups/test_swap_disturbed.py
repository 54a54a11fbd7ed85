"""Changes of a tenant, during the swap of a restore, of names that are free or its own again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups.archive.layout import delete_archive
from backups.connections import connect
from backups.milvus.client import Client
from backups.models import Backup, BackupJob
from backups.restore.swap import Swap
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from backups.stores.local import LocalStore
from clusters.milvus_names import MAX_NAME_BYTES
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import Dead, taken_over
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
NAMES = ["images", "n" * MAX_NAME_BYTES, "日" * (MAX_NAME_BYTES // 3)]
ELSEWHERE = "elsewhere"


@pytest.fixture
def restoring(cluster: Cluster, milvus: MilvusClient, work: Work) -> Callable[..., BackupJob]:
    """A restore that replaces what it is of, or goes into another database."""

    def make(name: str = "images", **options: str) -> BackupJob:
        fill(milvus, name, rows=60)
        milvus.create_alias(name, "pictures")
        backup = plan_backup(cluster, collection_names=[name]).submit(by="alice").backup
        work()
        milvus.delete(name, filter="id < 20")
        backup = Backup.objects.get(pk=backup.pk)
        how = options or {"on_conflict": "REPLACE"}
        return plan_restore(backup, cluster, **how).submit(by="alice")

    return make


def dies_between_the_renames(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Client.rename

    def once(self: Client, old: str, new: str) -> None:
        if old.startswith("_vbase_restore_"):
            raise Dead
        rename(self, old, new)

    monkeypatch.setattr(Client, "rename", once)
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()


def dies_when_all_is_swapped(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Swap, "finish", die)
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()


def dies_when_the_name_is_taken_away_again(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    remember = Attempt.save_checkpoint

    def fail_at_the_end(self: Attempt, **facts: object) -> None:
        if "swapped" in facts:
            raise JobFailed("told to fail", permanent=True)
        remember(self, **facts)

    monkeypatch.setattr(Attempt, "save_checkpoint", fail_at_the_end)
    monkeypatch.setattr(Swap, "restore_old_name", die)
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()


def die(*_: object) -> None:
    raise Dead


def kept(task: Task, milvus: MilvusClient, name: str) -> str:
    """The one other collection there is, of whose name the tenant was told."""
    (other,) = set(milvus.list_collections()) - {name}
    assert f"is now called {other} and" in task.warnings[0]
    return other


def hidden(cluster: Cluster) -> list[str]:
    with connect(cluster, "default") as client:
        return [name for name in client.collections() if name.startswith("_vbase_")]


@pytest.mark.parametrize("name", NAMES, ids=["short", "long", "many bytes"])
def test_what_was_replaced_is_kept_under_a_name_that_is_told_where_its_own_is_taken(
    restoring: Callable[..., BackupJob],
    milvus: MilvusClient,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    job, before = restoring(name), rows_of(milvus, name)
    dies_between_the_renames(job, monkeypatch)
    fill(milvus, name, rows=7)
    task = taken_over(job.task)
    assert (task.state, len(rows_of(milvus, name))) == ("FAILED", 7)
    assert rows_of(milvus, kept(task, milvus, name)) == before


def test_its_aliases_go_with_it_and_nothing_hidden_or_locked_is_left(
    restoring: Callable[..., BackupJob],
    cluster: Cluster,
    milvus: MilvusClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = restoring()
    dies_between_the_renames(job, monkeypatch)
    fill(milvus, rows=7)
    task = taken_over(job.task)
    assert len(rows_of(milvus, "pictures")) == 40
    assert (hidden(cluster), task.holds_lock) == ([], False)


def test_an_alias_can_have_taken_the_name_too(
    restoring: Callable[..., BackupJob], milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = restoring()
    dies_between_the_renames(job, monkeypatch)
    fill(milvus, "other", rows=7)
    milvus.create_alias("other", "images")
    task = taken_over(job.task)
    assert (task.state, len(rows_of(milvus, "images"))) == ("FAILED", 7)
    assert len(rows_of(milvus, kept(task, milvus, "other"))) == 40


def test_a_name_that_stayed_free_goes_on_without_a_word(
    restoring: Callable[..., BackupJob], milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = restoring()
    dies_between_the_renames(job, monkeypatch)
    task = taken_over(job.task)
    assert (task.state, task.warnings, milvus.list_collections()) == ("SUCCEEDED", [], ["images"])
    assert len(rows_of(milvus, "pictures")) == 60


def test_aliases_that_the_restored_one_had_got_already_find_the_kept_one(
    restoring: Callable[..., BackupJob], milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = restoring()
    dies_when_the_name_is_taken_away_again(job, monkeypatch)
    fill(milvus, rows=7)
    assert taken_over(job.task).state == "FAILED"
    assert [len(rows_of(milvus, name)) for name in ("images", "pictures")] == [7, 40]


# after the swap


def test_a_database_that_its_tenant_has_dropped_again_stays_dropped(
    restoring: Callable[..., BackupJob], milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = restoring(db_name=ELSEWHERE)
    dies_when_all_is_swapped(job, monkeypatch)
    milvus.use_database(ELSEWHERE)
    milvus.drop_collection("images")
    milvus.use_database("default")
    milvus.drop_database(ELSEWHERE)
    assert (taken_over(job.task).state, milvus.list_databases()) == ("SUCCEEDED", ["default"])


def test_a_collection_that_its_tenant_has_dropped_again_stays_dropped(
    restoring: Callable[..., BackupJob],
    cluster: Cluster,
    milvus: MilvusClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = restoring()
    dies_when_all_is_swapped(job, monkeypatch)
    with connect(cluster, "default") as client:
        client.create_alias("late", hidden(cluster)[0])
    milvus.drop_collection("images")
    assert (taken_over(job.task).state, hidden(cluster)) == ("SUCCEEDED", [])


def test_the_end_needs_no_archive(
    restoring: Callable[..., BackupJob],
    cluster: Cluster,
    milvus: MilvusClient,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = restoring()
    dies_when_all_is_swapped(job, monkeypatch)
    delete_archive(store, job.backup.directory)
    assert (taken_over(job.task).state, hidden(cluster)) == ("SUCCEEDED", [])
    assert len(rows_of(milvus, "pictures")) == 60
