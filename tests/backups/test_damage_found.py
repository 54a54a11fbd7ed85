"""Damage that a verification or a restore finds is stored, and the backup no longer counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from pymilvus import MilvusClient

from backups.archive.codec import canonical_json, strict_json
from backups.archive.damage import ArchiveDamaged, Finding
from backups.archive.parts import sha256_of
from backups.connections import open_archive
from backups.models import FOUND_BY_READING, Backup, BackupJob
from backups.services.backups import plan_backup, read_archive, verify_backup
from backups.services.restores import plan_restore, preview_restore
from backups.stores.base import put
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.backups.interruption import taken_over
from vbase_console.core.errors import FailedPrecondition
from vbase_console.tasks.attempts import Attempt

Work = Callable[[], int]
Ask = Callable[[], BackupJob]


@pytest.fixture
def take(cluster: Cluster, milvus: MilvusClient, work: Work) -> Callable[[str], Backup]:
    """Backups of `images`, each said to be verified and proven."""
    fill(milvus, rows=20)

    def take(name: str) -> Backup:
        plan_backup(cluster, collection_names=["images"], backup_name=name).submit(by="alice")
        work()
        now = timezone.now()
        Backup.objects.filter(name=name).update(verified_at=now, proven_at=now)
        return Backup.objects.get(name=name)

    return take


@pytest.fixture
def backup(take: Callable[[str], Backup]) -> Backup:
    return take("first")


@pytest.fixture
def asks(backup: Backup, cluster: Cluster) -> dict[str, Ask]:
    return {
        "VERIFY": lambda: verify_backup(backup, by="alice"),
        "RESTORE": lambda: plan_restore(backup, cluster, db_name="other").submit(by="alice"),
    }


def trust_in(backup: Backup) -> tuple[object, ...]:
    """Return the columns that decide if the backup counts, and the finder of its damage."""
    backup.refresh_from_db()
    is_good = Backup.objects.good().filter(pk=backup.pk).exists()
    return is_good, backup.verified_at, backup.proven_at, backup.damage_found_by


def message_of(job: BackupJob) -> str:
    job.task.refresh_from_db()
    assert job.task.state == "FAILED"
    return job.task.message


def exchange(store: LocalStore, one: Backup, other: Backup) -> None:
    first, second = (Path(store.root, each.directory) for each in (one, other))
    first.rename(f"{first}-away")
    second.rename(first)
    Path(f"{first}-away").rename(second)


def rewrite(store: LocalStore, backup: Backup) -> None:
    """Forge a manifest: another instant, and a matching hash."""
    key = f"{backup.directory}/manifest.json"
    body = strict_json(store.read(key, limit=1 << 20))
    assert isinstance(body, dict)
    del body["sha256"]
    body["capture"]["captured_at"] = "2001-01-01T00:00:00+00:00"
    store.delete(key)
    put(store, key, canonical_json({**body, "sha256": sha256_of(canonical_json(body))}))


def test_an_archive_of_another_backup_is_damage(
    backup: Backup, take: Callable[[str], Backup], store: LocalStore, work: Work
) -> None:
    exchange(store, backup, take("second"))
    job = verify_backup(backup, by="alice")
    work()
    assert "manifest.json: it is not the one that was sealed" in message_of(job)
    assert trust_in(backup) == (False, None, None, job.task.task_id)


def test_an_archive_that_was_written_anew_is_damage(
    backup: Backup, store: LocalStore, work: Work
) -> None:
    rewrite(store, backup)
    job = verify_backup(backup, by="alice")
    work()
    assert "manifest.json: it is not the one that was sealed" in message_of(job)
    assert trust_in(backup) == (False, None, None, job.task.task_id)


def test_a_restore_that_comes_upon_damage_says_so_of_the_backup(
    backup: Backup, asks: dict[str, Ask], store: LocalStore, work: Work
) -> None:
    job = asks["RESTORE"]()
    (part,) = (each.key for each in store.list(f"{backup.directory}/parts"))
    Path(store.root, part).write_bytes(b"PAR1")
    work()
    assert part.rpartition("/")[2] in message_of(job)
    assert trust_in(backup) == (False, None, None, job.task.task_id)
    assert backup.findings[0].file == f"parts/{part.rpartition('/')[2]}"


def test_what_is_whole_of_a_damaged_backup_is_restored_and_the_rest_refused(
    cluster: Cluster, milvus: MilvusClient, store: LocalStore, work: Work
) -> None:
    fill(milvus, "whole", rows=5)
    fill(milvus, "broken", rows=6)
    plan_backup(cluster, collection_names=["whole", "broken"], backup_name="two").submit(by="alice")
    work()
    backup = Backup.objects.get(name="two")
    (part,) = open_archive(backup).manifest.collection("broken").parts
    Path(store.root, backup.directory, part.name).unlink()
    verify_backup(backup, by="alice")
    work()
    backup.refresh_from_db()
    assert backup.findings == [Finding(part.name, "it is missing")]
    with pytest.raises(
        FailedPrecondition, match=f"in collection 'broken': {part.name}: it is missing"
    ):
        plan_restore(backup, cluster, db_name="all").submit(by="alice")
    whole = ["whole"]
    job = plan_restore(backup, cluster, db_name="some", collection_names=whole).submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED", job.task.message
    assert f"The backup is damaged: {part.name}: it is missing." in job.task.warnings[0]
    milvus.use_database("some")
    assert milvus.list_collections() == whole


def test_a_dry_run_that_finds_the_manifest_gone_notes_it(
    backup: Backup, cluster: Cluster, store: LocalStore
) -> None:
    Path(store.root, backup.directory, "manifest.json").unlink()
    with pytest.raises(FailedPrecondition, match=r"manifest\.json: it is missing"):
        preview_restore(backup, cluster, db_name="other")
    assert trust_in(backup) == (False, None, None, FOUND_BY_READING)


def test_a_look_beside_a_verification_keeps_what_each_has_found(
    backup: Backup, store: LocalStore
) -> None:
    known = Finding("parts/1.parquet", "it is missing")
    Backup.objects.filter(pk=backup.pk).mark_damaged(by="job-1", findings=[known])
    Path(store.root, backup.directory, "manifest.json").unlink()
    with pytest.raises(ArchiveDamaged):
        read_archive(backup)
    backup.refresh_from_db()
    assert backup.findings == [known, Finding("manifest.json", "it is missing")]
    assert (backup.damage_found_by, backup.can_be_read) == ("job-1", False)


def test_a_restore_that_fails_for_another_reason_condemns_no_backup(
    backup: Backup, asks: dict[str, Ask], milvus: MilvusClient, work: Work
) -> None:
    job = asks["RESTORE"]()
    milvus.create_database("other")
    milvus.use_database("other")
    fill(milvus, rows=1)
    work()
    assert "'images' already exists" in message_of(job)
    assert trust_in(backup)[0] is True


@pytest.mark.parametrize("kind", ["VERIFY", "RESTORE"])
def test_a_store_that_is_away_is_no_damage(
    backup: Backup, asks: dict[str, Ask], store: LocalStore, work: Work, kind: str
) -> None:
    job, root = asks[kind](), Path(store.root)
    root.rename(f"{root}-elsewhere")
    root.mkdir()
    assert "Check that its directory exists and is mounted." in taken_over(job.task).message
    is_good, verified_at, _, _ = trust_in(backup)
    assert (is_good, verified_at is not None) == (True, True)


def test_progress_and_total_are_counted_from_the_same_files(
    backup: Backup, asks: dict[str, Ask], work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Attempt, "report", lambda *given: said.append(given[3]))
    asks["VERIFY"]()
    work()
    _, done, _, total, _ = said[-1].split()
    assert done == total
