from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pymilvus import MilvusClient

from backups.connections import snapshots_of
from backups.janitor import scan_store
from backups.models import Backup, BackupJob
from backups.services.backups import delete_backup, plan_backup
from backups.states import BackupStatus, JobKind
from backups.stores.base import put
from backups.stores.local import LocalStore
from backups.sweeps import sweep_janitor
from clusters.models import Cluster
from tests.backups.conftest import fill
from vbase_console.tasks.models import Heartbeat

Work = Callable[[], int]


@pytest.fixture
def job(cluster: Cluster, milvus: MilvusClient, work: Work) -> BackupJob:
    fill(milvus, rows=20)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    job.backup.refresh_from_db()
    return job


def test_it_drops_snapshots_whose_job_is_over(job: BackupJob, cluster: Cluster) -> None:
    snapshots = snapshots_of(cluster)
    assert snapshots is not None
    snapshots.take(f"{job.task.task_id}-1", database="default", collections=["images"])
    BackupJob.objects.update(is_cleaned_up=False)
    sweep_janitor()
    assert snapshots.names() == []


def test_it_removes_the_files_of_what_is_gone(job: BackupJob, store: LocalStore) -> None:
    Backup.objects.update(status=BackupStatus.GONE)
    sweep_janitor()
    assert list(store.list(job.backup.directory)) == []


def test_it_leaves_alone_what_no_row_knows(job: BackupJob, store: LocalStore) -> None:
    put(store, "somebody/bak-else/manifest.json", b"{}")
    sweep_janitor()
    assert store.size("somebody/bak-else/manifest.json") == 2


def test_it_says_what_no_row_knows(
    job: BackupJob, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "somebody/bak-else/manifest.json", b"{}")
    sweep_janitor()
    assert "somebody/bak-else: orphaned archive" in caplog.text


def test_a_backup_whose_files_are_gone_is_said_and_counted_on_no_more(
    job: BackupJob, store: LocalStore, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    store.delete_prefix(job.backup.directory)
    sweep_janitor()
    work()
    assert f"manifest of backup {job.backup.name} is missing" in caplog.text
    (verification,) = BackupJob.objects.filter(job_type=JobKind.VERIFY)
    assert "manifest.json: it is missing" in verification.task.message
    assert (verification.task.requested_by, Backup.objects.good().count()) == ("janitor", 0)


def test_a_backup_whose_files_are_gone_is_verified_once(
    job: BackupJob, store: LocalStore, work: Work
) -> None:
    store.delete_prefix(job.backup.directory)
    scan_store()
    scan_store()
    work()
    scan_store()
    assert BackupJob.objects.filter(job_type=JobKind.VERIFY).count() == 1


def unmounted(root: Path) -> None:
    root.mkdir()


def not_there(root: Path) -> None:
    assert not root.exists()


def not_readable(root: Path) -> None:
    root.write_bytes(b"")


@pytest.mark.parametrize("away", [unmounted, not_there, not_readable])
def test_a_store_that_is_away_condemns_no_backup(
    job: BackupJob,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
    away: Callable[[Path], None],
) -> None:
    Path(store.root).rename(f"{store.root}-elsewhere")
    away(Path(store.root))
    sweep_janitor()
    assert "backup store not scanned" in caplog.text
    assert job.backup.name not in caplog.text
    assert not BackupJob.objects.filter(job_type=JobKind.VERIFY).exists()


def test_a_foreign_name_that_no_database_stores_stops_no_scan(
    job: BackupJob, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = Path(os.fsdecode(os.fsencode(store.root) + b"/foreign/bak-\xff"))
    foreign.mkdir(parents=True)
    (foreign / "file").touch()
    Backup.objects.update(status=BackupStatus.GONE)
    assert scan_store() == 1
    assert "orphaned archive" in caplog.text


def test_an_organization_without_backups_is_no_orphan(
    job: BackupJob, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    delete_backup(job.backup, by="alice")
    work()
    sweep_janitor()
    assert "orphaned archive" not in caplog.text


def test_it_asks_again_for_a_deletion_that_nobody_is_at(
    job: BackupJob, store: LocalStore, work: Work
) -> None:
    Backup.objects.update(status=BackupStatus.DELETING)
    sweep_janitor()
    work()
    job.backup.refresh_from_db()
    assert job.backup.status == BackupStatus.GONE


def test_it_never_touches_a_tenants_collections(
    job: BackupJob, cluster: Cluster, milvus: MilvusClient
) -> None:
    BackupJob.objects.update(is_cleaned_up=False)
    milvus.create_alias("images", "pictures")
    sweep_janitor()
    assert milvus.list_collections() == ["images"]
    assert milvus.list_aliases("images")["aliases"] == ["pictures"]


def test_it_removes_the_parts_of_a_backup_that_never_was_sealed(
    job: BackupJob, store: LocalStore
) -> None:
    store.delete(f"{job.backup.directory}/manifest.json")
    Backup.objects.update(status=BackupStatus.GONE)
    BackupJob.objects.update(is_cleaned_up=False)
    sweep_janitor()
    assert list(store.list(job.backup.directory)) == []


def test_one_round_at_a_time(job: BackupJob) -> None:
    Heartbeat.objects.create(part="janitor", at=timezone.now())
    Backup.objects.update(status=BackupStatus.DELETING)
    assert sweep_janitor() == 0


@pytest.mark.parametrize(("minutes", "cleared"), [(29, 0), (31, 1), (-31, 1)])
def test_a_round_that_was_killed_keeps_the_next_away_for_half_an_hour(
    job: BackupJob, minutes: int, cleared: int
) -> None:
    Heartbeat.objects.create(part="janitor", at=timezone.now() - timedelta(minutes=minutes))
    Backup.objects.update(status=BackupStatus.DELETING)
    assert sweep_janitor() == cleared
