"""A worker dies before every single effect of a backup and of a restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pymilvus import MilvusClient

from backups.archive.verify import findings
from backups.capture import job as capture_job
from backups.connections import snapshots_of
from backups.models import Backup, SealedPart
from backups.restore import job as restore_job
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from backups.stores.local import LocalStore, _StagedFile
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import Dead, dies, taken_over
from vbase_console.tasks import services as tasks
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
ROWS = 60
FEWEST_EFFECTS = 5


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=ROWS)
    milvus.create_alias("images", "pictures")
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def test_a_backup_survives_a_death_before_any_effect(
    cluster: Cluster, milvus: MilvusClient, store: LocalStore, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    for effect in range(1, 100):
        job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
        died = dies(job.task, at=effect)
        taken_over(job.task)
        job.backup.refresh_from_db()
        assert (job.backup.status, job.backup.row_count) == ("AVAILABLE", ROWS), effect
        assert findings(store, job.backup.directory) == []
        if not died:
            break
    assert effect > FEWEST_EFFECTS
    assert snapshots_of(cluster).names() == []


def test_sealed_parts_are_not_read_again(
    cluster: Cluster, milvus: MilvusClient, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    assert dies(job.task, at=5)
    sealed = list(SealedPart.objects.order_by("number").values_list("pk", flat=True))
    assert sealed
    taken_over(job.task)
    assert (
        list(SealedPart.objects.order_by("number").values_list("pk", flat=True))[: len(sealed)]
        == sealed
    )


def test_nobody_can_take_over_while_a_part_appears(
    cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task's row is held, so that no part comes into an archive that another has sealed."""
    seen, publish = [], _StagedFile.publish

    def watched(self: _StagedFile, *arguments: Any, **options: Any) -> None:
        seen.append(connection.in_atomic_block)
        publish(self, *arguments, **options)

    monkeypatch.setattr(_StagedFile, "publish", watched)
    fill(milvus, rows=ROWS)
    run_task(plan_backup(cluster, collection_names=["images"]).submit(by="alice").task.task_id)
    assert (len(seen) >= 2, all(seen)) == (True, True)


def test_a_cancelled_backup_leaves_nothing(
    cluster: Cluster, milvus: MilvusClient, store: LocalStore, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    assert dies(job.task, at=5)
    tasks.request_cancel(job.task, by="alice")
    assert taken_over(job.task).state == "CANCELLED"
    assert list(store.list(job.backup.directory)) == []
    assert snapshots_of(cluster).names() == []


def test_a_restore_survives_a_death_before_any_effect(
    backup: Backup, cluster: Cluster, milvus: MilvusClient
) -> None:
    promised = rows_of(milvus)
    for effect in range(1, 100):
        milvus.delete("images", filter=f"id < {effect}")
        job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
        died = dies(job.task, at=effect)
        assert taken_over(job.task).state == "SUCCEEDED", job.task.message
        assert rows_of(milvus, "pictures") == promised, effect
        assert milvus.list_collections() == ["images"]
        if not died:
            break
    assert effect > FEWEST_EFFECTS


def test_a_restore_that_dies_and_is_cancelled_leaves_the_target_as_it_was(
    backup: Backup, cluster: Cluster, milvus: MilvusClient
) -> None:
    promised = rows_of(milvus)
    for effect in range(1, 100):
        milvus.delete("images", filter=f"id < {effect}")
        before = rows_of(milvus)
        job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
        if not dies(job.task, at=effect):
            break
        tasks.request_cancel(job.task, by="alice")
        ended = taken_over(job.task).state
        assert rows_of(milvus, "pictures") == {"CANCELLED": before, "SUCCEEDED": promised}[ended]
        assert hidden(cluster) == []
    assert effect > FEWEST_EFFECTS


def test_an_undo_that_fails_is_gone_on_with_and_nothing_else_happens(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    milvus.delete("images", filter="id < 20")
    before = rows_of(milvus)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    monkeypatch.setattr(restore_job, "_swap", fail_for_good)
    monkeypatch.setattr(restore_job, "clean_up", lambda job: fail_for_now())
    run_task(job.task.task_id)
    monkeypatch.undo()
    job.task.refresh_from_db()
    assert (job.task.state, rows_of(milvus)) == ("PENDING", before)
    assert taken_over(job.task).state == "FAILED"
    assert (rows_of(milvus), hidden(cluster)) == (before, [])


def test_what_the_tenant_makes_after_an_undo_is_left_alone(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    milvus.drop_alias("pictures")
    milvus.drop_collection("images")
    job = plan_restore(backup, cluster).submit(by="alice")
    swap = restore_job._swap
    monkeypatch.setattr(restore_job, "_swap", lambda *a: (swap_first(swap, *a), fail_for_good()))
    monkeypatch.setattr(restore_job, "clean_up", lambda job: fail_for_now())
    run_task(job.task.task_id)
    monkeypatch.undo()
    fill(milvus, rows=7)
    assert taken_over(job.task).state == "FAILED"
    assert len(rows_of(milvus)) == 7


def test_a_sealed_backup_is_kept_whatever_becomes_of_its_cluster(
    cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    monkeypatch.setattr(capture_job, "_clean_up_or_log", die)
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()
    milvus.drop_collection("images")
    assert taken_over(job.task).state == "SUCCEEDED"
    job.backup.refresh_from_db()
    assert job.backup.status == "AVAILABLE"


def fail_for_good(*_: object) -> None:
    raise JobFailed("told to fail", permanent=True)


def fail_for_now() -> None:
    raise JobFailed("the cluster is away", permanent=False)


def swap_first(swap: Callable[..., None], attempt: Attempt, *others: object) -> None:
    """All takes its name, and nothing says yet that there is no way back."""
    remember = attempt.save_checkpoint
    attempt.save_checkpoint = lambda **facts: None if "swapped" in facts else remember(**facts)  # type: ignore[method-assign]
    swap(attempt, *others)
    attempt.save_checkpoint = remember  # type: ignore[method-assign]


def die(*_: object) -> None:
    raise Dead


def hidden(cluster: Cluster) -> list[str]:
    from backups.connections import connect

    with connect(cluster, "default") as client:
        return [name for name in client.collections() if name.startswith("_vbase_")]
