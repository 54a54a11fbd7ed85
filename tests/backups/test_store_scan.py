"""The janitor scans a large store in parts, and finds in all of them what a whole scan would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backups import connections, janitor
from backups.archive.parts import part_name
from backups.janitor import scan_store
from backups.models import Backup, BackupJob, StoreScan
from backups.stores.base import Store, put
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.backups.without_milvus import driver as driver

ORPHANS = [f"foreign/bak-{number}" for number in range(3)]


@pytest.fixture(params=["s3", "local"])
def store(request: Any, settings: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Store]:
    is_s3 = request.param == "s3"
    settings.BACKUP_STORE = request.getfixturevalue("s3_url") if is_s3 else str(tmp_path / "store")
    connections.get_store.cache_clear()
    monkeypatch.setattr(janitor, "MAX_SCANNED", 2)
    yield connections.get_store()
    connections.get_store.cache_clear()


@pytest.fixture
def listed(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the entries that scans have listed."""
    keys: list[str] = []
    as_listed = type(store).list

    def watched(self: Store, prefix: str, *, after: str = "") -> Iterator[Any]:
        for entry in as_listed(self, prefix, after=after):
            if not prefix:
                keys.append(entry.key)
            yield entry

    monkeypatch.setattr(type(store), "list", watched)
    return keys


@pytest.fixture
def lost(make_cluster: Any, store: Store) -> Backup:
    """A backup without files, beside a sound one, a deleted one with files, and foreign files."""
    cluster: Cluster = make_cluster()
    lost, sound, gone = (seed_backup(cluster, name=name) for name in ("lost", "sound", "gone"))
    for backup in (sound, gone):
        put(store, f"{backup.directory}/manifest.json", b"{}")
        put(store, f"{backup.directory}/{part_name('0' * 64)}", b"rows")
    Backup.objects.filter(pk=gone.pk).update(status="GONE")
    for directory in ORPHANS:
        put(store, f"{directory}/file", b"")
    return lost


def scan_to_the_end() -> int:
    """Return the number of deleted archives of one turn through the store."""
    deleted = scan_store()
    while StoreScan.objects.get().after:
        deleted += scan_store()
    return deleted


def test_a_round_lists_no_more_than_its_limit_and_an_archive(
    lost: Backup, listed: list[str]
) -> None:
    scan_store()
    assert len(listed) <= 2 + 2 + 1  # the limit, the check that the store is there, the next key


def test_the_rounds_of_a_turn_find_what_a_whole_scan_finds(
    lost: Backup, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert scan_to_the_end() == 1
    gone = Backup.objects.get(status="GONE")
    assert list(store.list(gone.directory)) == []
    assert [caplog.text.count(f"{directory}: orphaned") for directory in ORPHANS] == [1, 1, 1]
    assert BackupJob.objects.get(job_type="VERIFY").backup_id == lost.pk


def test_the_next_turn_begins_at_the_beginning(
    lost: Backup, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    scan_to_the_end()
    put(store, "a-new/bak-orphan/file", b"")
    scan_to_the_end()
    assert "a-new/bak-orphan: orphaned" in caplog.text


def test_another_store_is_scanned_from_its_beginning(lost: Backup, settings: Any) -> None:
    scan_store()
    assert StoreScan.objects.get().after
    settings.BACKUP_STORE = f"{settings.BACKUP_STORE}-moved"
    connections.get_store.cache_clear()
    scan_store()
    assert StoreScan.objects.get(store=settings.BACKUP_STORE).after == ""


def test_more_ghosts_than_a_round_verifies_are_left_to_the_next_round(
    lost: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "MAX_SCANNED", 100)
    monkeypatch.setattr(janitor, "BATCH_SIZE", 1)
    also_lost = seed_backup(lost.cluster, name="also lost")
    scan_store()
    scan_store()
    verified = BackupJob.objects.filter(job_type="VERIFY").values_list("backup", flat=True)
    assert set(verified) == {lost.pk, also_lost.pk}


def test_a_backup_that_is_sealed_after_the_listing_is_no_ghost(
    lost: Backup, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_part = janitor._next_part

    def then_sealed(after: str) -> Any:
        part = next_part(after)
        put(store, f"{lost.directory}/manifest.json", b"{}")
        return part

    monkeypatch.setattr(janitor, "MAX_SCANNED", 100)
    monkeypatch.setattr(janitor, "_next_part", then_sealed)
    scan_store()
    assert not BackupJob.objects.filter(job_type="VERIFY").exists()
