"""A worker dies before every single effect of a backup and of a restore."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups import capture, services
from backups.archive.verify import findings
from backups.hands import snapshots_of
from backups.models import Backup, SealedPart
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import dies, taken_over
from vbase_console.tasks import services as tasks

Work = Callable[[], int]
ROWS = 60
FEWEST_EFFECTS = 5


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=ROWS)
    milvus.create_alias("images", "pictures")
    job = services.take_backup(cluster, collection_names=["images"], by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few rows, so that there are several."""
    write = capture.write_parts
    monkeypatch.setattr(
        capture, "write_parts", lambda *a, **options: write(*a, **options, part_bytes=1)
    )
    monkeypatch.setattr("backups.milvus.pinned._batch_rows", lambda metadata: 16)


def test_a_backup_survives_a_death_before_any_effect(
    cluster: Cluster, milvus: MilvusClient, store: LocalStore, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    for effect in range(1, 100):
        job = services.take_backup(cluster, collection_names=["images"], by="alice")
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
    job = services.take_backup(cluster, collection_names=["images"], by="alice")
    assert dies(job.task, at=5)
    sealed = list(SealedPart.objects.order_by("number").values_list("pk", flat=True))
    assert sealed
    taken_over(job.task)
    assert (
        list(SealedPart.objects.order_by("number").values_list("pk", flat=True))[: len(sealed)]
        == sealed
    )


def test_a_cancelled_backup_leaves_nothing(
    cluster: Cluster, milvus: MilvusClient, store: LocalStore, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    job = services.take_backup(cluster, collection_names=["images"], by="alice")
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
        job = services.restore_backup(backup, cluster, on_conflict="REPLACE", by="alice")
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
        job = services.restore_backup(backup, cluster, on_conflict="REPLACE", by="alice")
        if not dies(job.task, at=effect):
            break
        tasks.request_cancel(job.task, by="alice")
        ended = taken_over(job.task).state
        assert rows_of(milvus, "pictures") == {"CANCELLED": before, "SUCCEEDED": promised}[ended]
        assert hidden(cluster) == []
    assert effect > FEWEST_EFFECTS


def hidden(cluster: Cluster) -> list[str]:
    from backups.hands import connected

    with connected(cluster, "default") as client:
        return [name for name in client.collections() if name.startswith("_vbase_")]
