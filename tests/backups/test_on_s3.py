"""Jobs whose store is a real S3 server, where nothing is published inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from pymilvus import MilvusClient

from backups import connections
from backups.archive.parts import part_name
from backups.archive.verify import findings
from backups.capture import sealing
from backups.janitor import scan_store
from backups.services.backups import delete_backup, plan_backup, verify_backup
from backups.services.restores import plan_restore
from backups.stores.base import StoreError, put
from backups.stores.s3 import S3Store, _StagedUpload
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import Dead, dies, taken_over
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
ROWS = 60


@pytest.fixture
def store(s3_url: str, settings: Any) -> Iterator[S3Store]:
    settings.BACKUP_STORE = s3_url
    connections.get_store.cache_clear()
    yield connections.get_store()  # type: ignore[misc]
    connections.get_store.cache_clear()


def test_a_backup_is_verified_restored_and_deleted(
    cluster: Cluster, milvus: MilvusClient, work: Work, store: S3Store
) -> None:
    fill(milvus)
    before = rows_of(milvus)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    backup.refresh_from_db()
    verify_backup(backup, by="alice")
    work()
    milvus.drop_collection("images")
    backup.refresh_from_db()
    plan_restore(backup, cluster).submit(by="alice")
    work()
    assert rows_of(milvus) == before
    backup.refresh_from_db()
    assert None not in (backup.verified_at, backup.proven_at)
    delete_backup(backup, by="alice")
    work()
    assert list(store.list("")) == []


def test_no_transaction_waits_for_an_upload(
    cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    seen, publish = [], _StagedUpload.publish

    def watched(self: _StagedUpload, *arguments: Any, **options: Any) -> None:
        seen.append(connection.in_atomic_block)
        publish(self, *arguments, **options)

    monkeypatch.setattr(_StagedUpload, "publish", watched)
    fill(milvus, rows=ROWS)
    plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    assert seen == [False, False]


def test_a_backup_survives_a_death_before_any_effect(
    cluster: Cluster, milvus: MilvusClient, store: S3Store, small_parts: None
) -> None:
    fill(milvus, rows=ROWS)
    for effect in range(1, 200):
        job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
        died = dies(job.task, at=effect)
        taken_over(job.task)
        job.backup.refresh_from_db()
        assert (job.backup.status, job.backup.row_count) == ("AVAILABLE", ROWS), effect
        assert findings(store, job.backup.directory) == []
        if not died:
            break
    assert effect > 5


def test_a_manifest_that_was_written_but_not_recorded_is_adopted(
    cluster: Cluster, milvus: MilvusClient, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole. Deleting it would be wrong: a late request could delete the next one."""
    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")

    def die(*_: object) -> None:
        raise Dead

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_record_content", die)
        with pytest.raises(Dead):
            run_task(job.task.task_id)
    snapshots = connections.snapshots_of(cluster)
    assert snapshots is not None
    for name in snapshots.names():  # the next attempt starts over, from another instant
        snapshots.drop(name)
    milvus.delete("images", ids=[1])
    assert taken_over(job.task).state == "SUCCEEDED"
    job.backup.refresh_from_db()
    assert (job.backup.row_count, findings(store, job.backup.directory)) == (ROWS, [])


def test_a_part_that_arrives_after_the_seal_is_removed(
    cluster: Cluster, milvus: MilvusClient, work: Work, store: S3Store
) -> None:
    """The network may deliver it long after the lease of its attempt. No manifest lists it."""
    fill(milvus, rows=ROWS)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    late, foreign = f"{backup.directory}/{part_name('0' * 64)}", f"{backup.directory}/foreign"
    put(store, late, b"rows")
    put(store, foreign, b"not of an attempt")
    assert scan_store() == 1
    assert [found.file for found in findings(store, backup.directory)] == ["foreign"]


def test_a_store_that_refuses_to_delete_leftovers_fails_no_backup(
    cluster: Cluster,
    milvus: MilvusClient,
    store: S3Store,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The backup is complete, and the janitor tries again."""

    def refuse(self: S3Store, key: str) -> None:
        raise StoreError("Could not delete: AccessDenied.")

    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    put(store, f"{job.backup.directory}/{part_name('0' * 64)}", b"of an earlier attempt")
    assert dies(job.task, at=7)
    monkeypatch.setattr(S3Store, "delete", refuse)
    assert taken_over(job.task).state == "SUCCEEDED"
    assert "unlisted parts not deleted" in caplog.text


def altered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network changes the first answer with a part, and no other."""
    read, left = S3Store.read, [True]

    def altered(self: S3Store, key: str, *, limit: int) -> bytes:
        data = read(self, key, limit=limit)
        if key.endswith(".parquet") and left:
            left.pop()
            return bytes([data[0] ^ 1]) + data[1:]
        return data

    monkeypatch.setattr(S3Store, "read", altered)


def test_an_altered_answer_is_not_recorded_as_damage(
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damage changes what retention keeps. Two equal readings are damage."""
    fill(milvus, rows=ROWS)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    backup.refresh_from_db()
    altered_once(monkeypatch)
    job = verify_backup(backup, by="alice")
    work()
    job.task.refresh_from_db()
    backup.refresh_from_db()
    assert (job.task.state, backup.is_damaged) == ("SUCCEEDED", False)


def test_a_restore_that_was_sent_altered_bytes_records_no_damage(
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=ROWS)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    backup.refresh_from_db()
    milvus.drop_collection("images")
    job = plan_restore(backup, cluster).submit(by="alice")
    altered_once(monkeypatch)
    work()
    job.task.refresh_from_db()
    backup.refresh_from_db()
    assert (job.task.state, backup.is_damaged) == ("PENDING", False)
    assert "second reading found the file sound" in job.task.message
