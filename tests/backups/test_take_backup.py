from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from backups.archive.verify import findings
from backups.models import Backup
from backups.services.backups import delete_backup, plan_backup, verify_backup
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill
from vbase_console.core.errors import AlreadyExists, InvalidArgument, NotFound

Work = Callable[[], int]


def test_it_writes_an_archive_that_is_whole(
    cluster: Cluster, milvus: MilvusClient, work: Work, store: LocalStore
) -> None:
    fill(milvus, rows=500)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    backup = Backup.objects.get(pk=job.backup_id)
    assert (backup.status, backup.row_count) == ("AVAILABLE", 500)
    assert findings(store, backup.directory) == []


def test_it_leaves_no_snapshot_behind(cluster: Cluster, milvus: MilvusClient, work: Work) -> None:
    from backups.connections import snapshots_of

    fill(milvus)
    plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    assert snapshots_of(cluster).names() == []


def test_it_names_collections_that_are_not_there(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match="nothing_here"):
        plan_backup(cluster, collection_names=["nothing_here"]).submit(by="alice")


def test_it_wants_at_least_one_collection(cluster: Cluster) -> None:
    with pytest.raises(InvalidArgument, match="at least one"):
        plan_backup(cluster, collection_names=[]).submit(by="alice")


def test_it_refuses_a_name_that_is_taken(cluster: Cluster, milvus: MilvusClient) -> None:
    fill(milvus)
    plan_backup(cluster, collection_names=["images"], backup_name="one").submit(by="alice")
    with pytest.raises(AlreadyExists, match="one"):
        plan_backup(cluster, collection_names=["images"], backup_name="one").submit(by="alice")


def test_it_verifies_and_deletes(
    cluster: Cluster, milvus: MilvusClient, work: Work, store: LocalStore, tmp_path: Path
) -> None:
    fill(milvus)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    verify_backup(backup, by="alice")
    work()
    backup.refresh_from_db()
    assert backup.verified_at is not None
    delete_backup(backup, by="alice")
    work()
    backup.refresh_from_db()
    assert backup.status == "GONE"
    assert list(store.list(backup.directory)) == []
