"""`manage.py import_backup` brings in an archive that another console wrote."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from backups import connections
from backups.archive import foreign
from backups.archive.layout import MANIFEST_NAME
from backups.archive.manifest import Manifest, serialize
from backups.archive.verify import findings
from backups.connections import open_archive
from backups.janitor import clean_up
from backups.models import Backup
from backups.services import imports
from backups.services.backups import delete_backup, verify_backup
from backups.services.imports import import_archive
from backups.stores.base import StoreError
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.archive.conftest import small_contents, write_archive
from vbase_console.organizations.models import AuditEntry, Organization
from vbase_console.tasks.models import Heartbeat

Work = Callable[[], int]
SERVICE = "svc-" + "1" * 16


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Iterator[LocalStore]:
    settings.BACKUP_STORE = str(tmp_path / "store")
    connections.get_store.cache_clear()
    yield connections.get_store()  # type: ignore[misc]
    connections.get_store.cache_clear()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write_archive(LocalStore(tmp_path / "elsewhere"), small_contents())


@pytest.fixture
def elsewhere(manifest: Manifest, tmp_path: Path) -> Path:
    """The archive of another console."""
    (path,) = (path.parent for path in (tmp_path / "elsewhere").rglob(MANIFEST_NAME))
    return path


def imported(location: Path | str, *options: str) -> Backup:
    output = io.StringIO()
    call_command("import_backup", str(location), "--organization", "acme", *options, stdout=output)
    return Backup.objects.get(pk=output.getvalue().strip())


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".incoming" not in path.parts
    }


@pytest.mark.usefixtures("organization")
def test_it_becomes_a_backup_with_the_same_bytes(elsewhere: Path, store: LocalStore) -> None:
    before = contents(elsewhere)
    backup = imported(elsewhere, "--name", "from-the-old-console")
    assert (backup.status, backup.name) == ("AVAILABLE", "from-the-old-console")
    assert contents(Path(store.root) / backup.directory) == before == contents(elsewhere)
    assert findings(store, backup.directory) == []


@pytest.mark.usefixtures("organization", "store")
def test_its_row_shows_what_is_in_it(elsewhere: Path, manifest: Manifest) -> None:
    backup = imported(elsewhere)
    assert backup.name == f"imported-{manifest.backup_id}"
    assert (backup.row_count, backup.size_bytes) == (manifest.rows, manifest.bytes)
    assert [collection["name"] for collection in backup.collections] == ["books", "notes"]
    assert backup.verified_at is not None
    assert (backup.proven_at, backup.policy_id) == (None, "")


@pytest.mark.usefixtures("organization", "store")
def test_reader_and_verifier_compare_the_ids_of_the_origin(
    elsewhere: Path, manifest: Manifest, work: Work
) -> None:
    backup = imported(elsewhere)
    assert backup.manifest_ids == (manifest.backup_id, manifest.organization_id)
    assert open_archive(backup).manifest == manifest
    verify_backup(backup, by="alice")
    work()
    backup.refresh_from_db()
    assert not backup.is_damaged


@pytest.mark.usefixtures("organization", "store")
def test_it_can_be_deleted(elsewhere: Path, work: Work) -> None:
    backup = imported(elsewhere)
    delete_backup(backup, by="alice")
    work()
    backup.refresh_from_db()
    assert backup.status == "GONE"


@pytest.mark.usefixtures("organization", "store")
def test_it_stands_below_the_service_that_it_was_taken_of(
    elsewhere: Path, manifest: Manifest
) -> None:
    backup = imported(elsewhere)
    assert (backup.cluster.status, backup.cluster.sealed_token) == ("DELETED", "")
    again = imported(changed(elsewhere, backup_id="bak-another"))
    assert again.cluster == backup.cluster


def changed(elsewhere: Path, **changes: Any) -> Path:
    """The archive with another manifest."""
    path = elsewhere / MANIFEST_NAME
    members = json.loads(path.read_bytes())
    manifest = Manifest.from_json({key: members[key] for key in members if key != "sha256"})
    path.write_bytes(serialize(dataclasses.replace(manifest, **changes)))
    return elsewhere


def of_service(elsewhere: Path, manifest: Manifest, service_id: str) -> Path:
    capture = dataclasses.replace(
        manifest.capture, service_id=service_id, cluster_id="vc-" + "1" * 16
    )
    return changed(elsewhere, capture=capture)


@pytest.mark.usefixtures("organization", "store")
def test_the_service_keeps_its_id(elsewhere: Path, manifest: Manifest) -> None:
    backup = imported(of_service(elsewhere, manifest, SERVICE))
    assert (backup.cluster.service_id, backup.cluster_id) == (SERVICE, "vc-" + "1" * 16)


@pytest.mark.usefixtures("store")
def test_the_service_of_another_organization_is_not_touched(
    elsewhere: Path,
    manifest: Manifest,
    organization: Organization,
    make_cluster: Callable[..., Cluster],
) -> None:
    strangers = make_cluster()
    other = Organization.objects.create(name="other")
    Cluster.objects.filter(pk=strangers.pk).update(organization=other, service_id=SERVICE)
    cluster = imported(of_service(elsewhere, manifest, SERVICE)).cluster
    assert (cluster.organization, cluster.service_id == SERVICE) == (organization, False)


@pytest.mark.usefixtures("store")
def test_it_is_audited(elsewhere: Path, organization: Organization) -> None:
    backup = imported(elsewhere)
    entry = AuditEntry.objects.get(action="ImportBackup")
    assert (entry.organization_id, entry.object_id) == (organization.pk, backup.backup_id)


@pytest.mark.usefixtures("organization", "store")
def test_the_same_archive_is_not_imported_twice(elsewhere: Path) -> None:
    imported(elsewhere, "--name", "first")
    with pytest.raises(CommandError, match="is the backup first of this organization"):
        imported(elsewhere, "--name", "second")


@pytest.mark.usefixtures("organization", "store")
def test_a_name_that_is_taken_is_refused(elsewhere: Path) -> None:
    imported(elsewhere, "--name", "one")
    with pytest.raises(CommandError, match="--name"):
        imported(changed(elsewhere, backup_id="bak-another"), "--name", "one")


@pytest.mark.usefixtures("organization", "store")
@pytest.mark.parametrize("name", ["policy", "a/b", "../x"])
def test_a_name_that_is_none_is_refused(elsewhere: Path, name: str) -> None:
    with pytest.raises(CommandError, match="not a name of a backup"):
        imported(elsewhere, "--name", name)


def nothing_is_left(store: LocalStore) -> bool:
    left = [entry for entry in store.list("") if "/" in entry.key and entry.size]
    return not left and not Backup.objects.present().exists()


def _flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def _part(elsewhere: Path) -> Path:
    return sorted((elsewhere / "parts").iterdir())[-1]


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped part": (lambda at: _flip(_part(at)), "does not match its SHA-256"),
    "missing part": (lambda at: _part(at).unlink(), "it is missing"),
    "longer part": (lambda at: _part(at).write_bytes(_part(at).read_bytes() + b"x"), "longer than"),
    "foreign file": (lambda at: (at / "foreign").write_text("x"), "does not belong"),
    "link": (lambda at: (at / "link").symlink_to("/etc/passwd"), "symbolic link"),
    "part that is a link": (lambda at: _linked(_part(at)), "symbolic link"),
    "flipped manifest": (lambda at: _flip(at / MANIFEST_NAME), "manifest.json"),
    "no manifest": (lambda at: (at / MANIFEST_NAME).unlink(), "missing"),
    "temporary file": (lambda at: _temporary(at), "does not belong"),
}


def _linked(path: Path) -> None:
    path.rename(path.parents[2] / "outside")
    path.symlink_to(path.parents[2] / "outside")


def _temporary(at: Path) -> None:
    (at / ".incoming").mkdir(exist_ok=True)
    (at / ".incoming" / "x").write_text("x")


@pytest.mark.usefixtures("organization")
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_refused(elsewhere: Path, store: LocalStore, damage: str) -> None:
    harm, reason = DAMAGES[damage]
    harm(elsewhere)
    with pytest.raises(CommandError, match=f"(?s)Nothing was imported.*{reason}"):
        imported(elsewhere)
    assert nothing_is_left(store)


@pytest.mark.usefixtures("organization")
def test_a_store_that_is_full_leaves_nothing(
    elsewhere: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("Could not write: the storage is full.")

    monkeypatch.setattr(imports, "put", refuse)
    with pytest.raises(CommandError, match="the storage is full"):
        imported(elsewhere)
    assert nothing_is_left(store)


def test_a_killed_import_is_removed_by_the_janitor(
    elsewhere: Path,
    store: LocalStore,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports._Copy, "finish", lambda copy: (_ for _ in ()).throw(KeyError()))
    monkeypatch.setattr(imports._Copy, "remove", lambda copy: None)
    with pytest.raises(KeyError):
        import_archive(LocalStore(elsewhere), organization, location=str(elsewhere))
    clean_up()
    assert Backup.objects.filter(status="CREATING").count() == 1  # it may still be at work
    Heartbeat.objects.update(at=timezone.now() - timedelta(hours=1))
    clean_up()
    assert nothing_is_left(store)


def test_a_machine_that_confines_nothing_refuses(
    elsewhere: Path, organization: Organization, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = foreign._Inspection.reported

    def unconfined(self: Any, facts: Any) -> None:
        told(self, {"confinement": "no Landlock."} if "confinement" in facts else facts)

    monkeypatch.setattr(foreign._Inspection, "reported", unconfined)
    with pytest.raises(CommandError, match=r"no Landlock.*--unconfined"):
        imported(elsewhere)
    assert imported(elsewhere, "--unconfined").status == "AVAILABLE"


@pytest.mark.usefixtures("store")
def test_an_unknown_organization_is_named(elsewhere: Path, organization: Organization) -> None:
    with pytest.raises(CommandError, match="'nobody' not found"):
        call_command("import_backup", str(elsewhere), "--organization", "nobody")
