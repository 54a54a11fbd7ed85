"""A backup is downloaded as one tar, which is whole or visibly cut."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pymilvus import MilvusClient

from backups.archive.damage import ArchiveDamaged
from backups.archive.verify import findings
from backups.models import Backup, BackupDownload
from backups.services import downloads
from backups.services.backups import delete_backup, plan_backup
from backups.services.downloads import SlotLost
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.api.client import Api
from tests.api.fixtures import api, key_with, stranger
from tests.backups.conftest import fill
from tests.web.conftest import Browser, alices, browser_of
from vbase_console.core import streams
from vbase_console.core.errors import Aborted
from vbase_console.organizations.models import AuditEntry
from vbase_console.supervisor.programs import WEB_THREADS
from vbase_console.web import csv_export

__all__ = ["alices", "api", "browser_of", "key_with", "stranger"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Callable[[], int]) -> Backup:
    fill(milvus, rows=300)
    job = plan_backup(cluster, collection_names=["images"], backup_name="nightly").submit(by="a")
    work()
    return Backup.objects.get(pk=job.backup_id)


@pytest.fixture
def address(backup: Backup) -> str:
    return f"/{backup.cluster.service_id}/backup/nightly/download"


@pytest.fixture(autouse=True)
def _downloads_end() -> Iterator[None]:
    yield
    assert downloads._process_slots._value == downloads.MAX_PER_PROCESS
    assert BackupDownload.objects.count() == 0


def content(response: Any) -> bytes:
    try:
        return b"".join(response.streaming_content)
    finally:
        response.close()


def test_the_unpacked_tar_verifies(api: Api, backup: Backup, address: str, tmp_path: Path) -> None:
    response = api.get(address).response
    data = content(response)
    assert response["Content-Type"] == "application/x-tar"
    assert int(response["Content-Length"]) == len(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path / "unpacked")  # noqa: S202  # of this very console
    assert findings(LocalStore(tmp_path / "unpacked"), "nightly") == []


def test_the_manifest_is_the_last_file(api: Api, backup: Backup, address: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(content(api.get(address).response))) as tar:
        assert tar.getnames()[-1] == "nightly/manifest.json"


def test_a_part_that_was_changed_cuts_the_download(
    api: Api, backup: Backup, address: str, store: LocalStore, tmp_path: Path
) -> None:
    part = next((tmp_path / "store").rglob("*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(data)
    response: Any = api.get(address).response
    received = io.BytesIO()
    with pytest.raises(ArchiveDamaged, match="SHA-256"):
        received.writelines(response.streaming_content)
    response.close()
    assert len(received.getvalue()) < int(response["Content-Length"])
    assert b"manifest.json" not in received.getvalue()


def test_a_backup_is_not_deleted_while_it_is_downloaded(
    api: Api, backup: Backup, address: str
) -> None:
    response = api.get(address).response
    with pytest.raises(Aborted, match="downloaded"):
        delete_backup(backup, by="a test")
    response.close()
    delete_backup(backup, by="a test")


def test_the_slot_of_a_killed_process_expires(backup: Backup) -> None:
    BackupDownload.objects.create(
        organization_id=backup.organization_id,
        backup=backup,
        expires_at=timezone.now() - timedelta(seconds=1),
    )
    downloads.begin_download(backup).close()


def test_a_download_whose_slot_expired_is_cut(
    api: Api, backup: Backup, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "RENEWAL_SECONDS", -1.0)
    response: Any = api.get(address).response
    BackupDownload.objects.all().delete()
    with pytest.raises(downloads.SlotLost):
        list(response.streaming_content)
    response.close()


def test_an_organization_has_two_downloads_at_once(api: Api, backup: Backup, address: str) -> None:
    first, second = api.get(address).response, api.get(address).response
    refused = api.get(address)
    assert (refused.code, refused.status) == ("RESOURCE_EXHAUSTED", 429)
    assert refused.header("Retry-After")
    first.close()
    api.get(address).response.close()
    second.close()


def test_a_process_has_four_downloads_at_once(
    api: Api, backup: Backup, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_PER_ORGANIZATION", 10)
    open_ones = [api.get(address).response for _ in range(4)]
    assert api.get(address).code == "RESOURCE_EXHAUSTED"
    for response in open_ones:
        response.close()


def test_downloads_and_exports_leave_threads_of_a_process_to_pages(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert streams.MAX_STREAMS < WEB_THREADS
    for number in range(3):
        csv_export.slots.take(f"organization {number}")
    csv_export.slots.take("organization 0")
    first, second = api.get(address).response, api.get(address).response
    monkeypatch.setattr(downloads, "MAX_PER_ORGANIZATION", 10)
    assert api.get(address).code == "RESOURCE_EXHAUSTED"
    first.close()
    api.get(address).response.close()
    second.close()
    for number in (0, 0, 1, 2):
        csv_export.slots.give_back(f"organization {number}")


def test_a_client_that_reads_too_slowly_is_cut(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = api.get(address).response
    pieces = iter(response.streaming_content)
    next(pieces)
    monkeypatch.setattr(downloads, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(downloads, "SLOWEST_BYTES_PER_SECOND", 10**12)
    with pytest.raises(SlotLost, match="too slowly"):
        list(pieces)
    response.close()


def test_each_download_is_audited(api: Api, backup: Backup, address: str) -> None:
    content(api.get(address).response)
    entry = AuditEntry.objects.get(action="DownloadBackup")
    assert (entry.outcome, entry.object_id) == ("ACCEPTED", "nightly")


@pytest.mark.parametrize("scopes", [["RestoreBackup"], ["GetVBaseServiceAccess"]])
def test_it_needs_both_scopes(
    key_with: Callable[..., Api], address: str, scopes: list[str]
) -> None:
    assert key_with(*scopes).get(address).code == "PERMISSION_DENIED"


def test_a_stranger_does_not_find_it(stranger: Api, address: str) -> None:
    assert stranger.get(address).code == "NOT_FOUND"


def test_the_page_of_the_backup_downloads_it(alices: Browser, backup: Backup) -> None:
    assert 'id="do-download"' in alices.open("backup-detail", "nightly").content.decode()
    response = alices.send("backup-download", "nightly")
    assert len(content(response)) == int(response["Content-Length"])
    assert AuditEntry.objects.get(action="DownloadBackup").outcome == "ACCEPTED"
