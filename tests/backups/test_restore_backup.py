from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups.models import Backup
from backups.restore import job as restore_job
from backups.services import restores
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore, preview_restore
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.elsewhere import as_of_a_full_milvus
from vbase_console.core.errors import AlreadyExists, FailedPrecondition, NotFound

Work = Callable[[], int]
Patch = pytest.MonkeyPatch


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=300)
    milvus.create_alias("images", "pictures")
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def test_it_brings_back_every_row_after_a_drop(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    before = rows_of(milvus)
    milvus.drop_alias("pictures")
    milvus.drop_collection("images")
    job = plan_restore(backup, cluster).submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED", job.task.message
    assert rows_of(milvus) == before
    assert rows_of(milvus, "pictures") == before


def test_it_refuses_a_name_that_is_taken(backup: Backup, cluster: Cluster) -> None:
    with pytest.raises(AlreadyExists, match="images"):
        plan_restore(backup, cluster).submit(by="alice")


def test_it_refuses_what_there_is_no_room_for(
    backup: Backup, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restores, "free_bytes_of", lambda cluster: 10 * 2**20)
    with pytest.raises(FailedPrecondition, match=r"10\.0 MB of free space"):
        plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")


def test_room_that_is_gone_when_it_begins_fails_the_job_before_anything_is_written(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(restore_job, "free_bytes_of", lambda cluster: 10 * 2**20)
    job = plan_restore(backup, cluster, db_name="elsewhere").submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert (job.task.state, milvus.list_databases()) == ("FAILED", ["default"])
    assert "Free disk space" in job.task.message


def test_it_replaces_what_is_there(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    before = rows_of(milvus)
    milvus.delete("images", filter="id < 100")
    plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    assert rows_of(milvus) == before
    assert milvus.list_collections() == ["images"]


def test_it_restores_beside_what_is_there(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    plan_restore(backup, cluster, on_conflict="RENAME", suffix="_copy").submit(by="alice")
    work()
    assert rows_of(milvus, "images_copy") == rows_of(milvus)


def test_it_makes_the_target_database(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    plan_restore(backup, cluster, db_name="elsewhere").submit(by="alice")
    work()
    milvus.use_database("elsewhere")
    assert len(rows_of(milvus)) == 300


def test_rows_of_a_full_milvus_are_compared_by_what_they_say(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work, store: LocalStore
) -> None:
    before = rows_of(milvus)
    as_of_a_full_milvus(backup, store)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED", job.task.message
    assert rows_of(milvus) == before
    assert any("rewrites the JSON" in text for text in job.task.warnings)


def test_a_restore_proves_the_backup(backup: Backup, cluster: Cluster, work: Work) -> None:
    plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    backup.refresh_from_db()
    assert backup.proven_at is not None


def test_a_restore_that_fails_leaves_the_target_as_it_was(
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from backups.restore.swap import Swap
    from vbase_console.tasks.errors import JobFailed

    def fail(self: Swap, *_: object) -> None:
        raise JobFailed("told to fail", permanent=True)

    milvus.delete("images", filter="id < 100")
    before = rows_of(milvus)
    monkeypatch.setattr(Swap, "forward", fail)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "FAILED"
    assert rows_of(milvus) == before


def test_the_names_that_a_backup_was_asked_for_by_bring_it_back(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, rows=5)
    milvus.create_alias("images", "pictures")
    asked = ["pictures"]
    job = plan_backup(cluster, collection_names=asked).submit(by="alice")
    work()
    backup = Backup.objects.get(pk=job.backup_id)
    milvus.drop_alias("pictures")
    milvus.drop_collection("images")
    restored = plan_restore(backup, cluster, collection_names=asked).submit(by="alice")
    work()
    restored.task.refresh_from_db()
    assert restored.task.state == "SUCCEEDED", restored.task.message
    assert restored.collection_names == ["images"]
    assert len(rows_of(milvus, "pictures")) == 5


def test_a_name_and_its_alias_are_one_collection(backup: Backup, cluster: Cluster) -> None:
    found = preview_restore(
        backup, cluster, db_name="elsewhere", collection_names=["pictures", "images"]
    )
    assert [step.source for step in found.steps] == ["images"]


def test_a_backup_that_was_sealed_before_aliases_were_noted_knows_its_collections(
    backup: Backup, cluster: Cluster
) -> None:
    for collection in backup.collections:
        del collection["aliases"]
    backup.save()
    names = {"collection_names": ["images"], "db_name": "elsewhere"}
    assert preview_restore(backup, cluster, **names).is_clear  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="does not contain collection pictures"):
        preview_restore(backup, cluster, collection_names=["pictures"])
