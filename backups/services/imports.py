"""Service of imports: copy and register an archive that another console wrote.

Imports pyarrow, so only the command imports this module.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from backups.archive.foreign import ImportRefused, SoundFile, inspect
from backups.archive.layout import MANIFEST_NAME, delete_archive, inside
from backups.archive.manifest import Manifest, manifest_sha256, parse
from backups.capture.contents import content_columns
from backups.connections import get_store, open_archive
from backups.models import NAME, Backup
from backups.states import BackupStatus
from backups.stores.base import ReadableStore, put
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from vbase_console.core.errors import AlreadyExists, InvalidArgument
from vbase_console.core.ids import new_cluster_id, new_service_id
from vbase_console.organizations.audit import record_command
from vbase_console.organizations.models import Organization
from vbase_console.organizations.versions import changed
from vbase_console.tasks.models import Heartbeat

INTERRUPTED = "The import was interrupted for too long, and its files were removed. Start it again."
MAX_ID_LENGTH = 64
_HEARTBEAT_INTERVAL = timedelta(seconds=15)
_SERVICE_ID = re.compile(r"svc-[0-9a-z]{16}", re.ASCII)
_CLUSTER_ID = re.compile(r"vc-[0-9a-z]{16}", re.ASCII)


def import_archive(
    store: ReadableStore,
    organization: Organization,
    *,
    location: str,
    name: str = "",
    unconfined: bool = False,
) -> Backup:
    """Copy the archive at the root of `store`, and register it as a backup of `organization`.

    The archive is verified in a confined process before a byte of it is used. Raises ImportRefused
    if it must not be imported, and leaves neither files nor a backup then.
    """
    if name:
        _check_name(name)
    copy = _Copy(organization, name=name, location=location)
    try:
        inspect(store, copy.take, unconfined=unconfined)
        return copy.finish()
    except BaseException:
        copy.remove()
        raise


class _Copy:
    """The copy of one archive, and the rows that belong to it."""

    def __init__(self, organization: Organization, *, name: str, location: str) -> None:
        self.organization, self.name, self.location = organization, name, location
        self.store = get_store()
        self.backup: Backup | None = None
        self.manifest: Manifest | None = None
        self.manifest_bytes = b""
        self.copied: set[str] = set()
        self.beaten_at = timezone.now()

    def take(self, file: SoundFile) -> None:
        if file.name == MANIFEST_NAME:
            self.manifest, self.manifest_bytes = parse(file.data), file.data
            self.backup = self._register(self.manifest)
        elif self.backup is not None:
            self._beat(self.backup)
            if file.name not in self.copied:
                put(self.store, inside(self.backup.directory, file.name), file.data)
            self.copied.add(file.name)

    def finish(self) -> Backup:
        """Write the manifest and make the backup available."""
        if self.backup is None or self.manifest is None:
            raise ImportRefused("The process that read the archive did not verify its manifest.")
        if {part.name for part in self.manifest.parts} != self.copied:
            raise ImportRefused("The process that read the archive did not verify every part.")
        put(self.store, inside(self.backup.directory, MANIFEST_NAME), self.manifest_bytes)
        self.backup.manifest_sha256 = manifest_sha256(self.manifest_bytes)
        open_archive(self.backup)
        with transaction.atomic():
            creating = Backup.objects.filter(pk=self.backup.pk, status=BackupStatus.CREATING)
            if not creating.update(
                status=BackupStatus.AVAILABLE,
                verified_at=timezone.now(),
                **content_columns(self.manifest, self.backup.manifest_sha256),
            ):
                raise ImportRefused(INTERRUPTED)
            record_command(
                self.organization.pk,
                action="ImportBackup",
                object_id=self.backup.backup_id,
                detail=f"from {self.location}",
            )
            Heartbeat.objects.filter(part=self.backup.backup_id).delete()
        self.backup.refresh_from_db()
        return self.backup

    def remove(self) -> None:
        """Delete the files, then mark the backup as gone. The janitor does it if this fails."""
        if self.backup is None:
            return
        delete_archive(self.store, self.backup.directory)
        with transaction.atomic():
            Backup.objects.filter(pk=self.backup.pk).update(
                status=BackupStatus.GONE, deleted_at=timezone.now()
            )
            changed(self.organization.pk)
            Heartbeat.objects.filter(part=self.backup.backup_id).delete()

    def _register(self, manifest: Manifest) -> Backup:
        """Create the row before the first file, so that a killed import leaves no unknown files."""
        _require_columns(manifest)
        _refuse_twice(self.organization, manifest_sha256(self.manifest_bytes))
        capture = manifest.capture
        with _name_taken(), transaction.atomic():
            backup = Backup(
                organization=self.organization,
                cluster=_cluster_of(self.organization, manifest),
                name=_check_name(self.name or f"imported-{manifest.backup_id}"),
                db_name=capture.database,
                origin_backup_id=manifest.backup_id,
                origin_organization_id=manifest.organization_id,
                created_at=min(datetime.fromisoformat(capture.captured_at), timezone.now()),
            )
            backup.save(force_insert=True)
            changed(self.organization.pk)
            Heartbeat.objects.create(part=backup.backup_id, at=timezone.now())
        return backup

    def _beat(self, backup: Backup) -> None:
        now = timezone.now()
        if now - self.beaten_at > _HEARTBEAT_INTERVAL:
            self.beaten_at = now
            if not Heartbeat.objects.filter(part=backup.backup_id).update(at=now):
                raise ImportRefused(INTERRUPTED)


def _check_name(name: str) -> str:
    try:
        NAME(name)
    except ValidationError as error:
        raise InvalidArgument(f"{name!r} is not a name of a backup. {error.messages[0]}") from error
    return name


@contextlib.contextmanager
def _name_taken() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise AlreadyExists(
            "A backup with this name exists in this organization. Choose another one with --name."
        ) from error


def _require_columns(manifest: Manifest) -> None:
    """Refuse values that no console writes and no row can hold."""
    limits = {
        "backup_id": (manifest.backup_id, MAX_ID_LENGTH),
        "organization_id": (manifest.organization_id, MAX_ID_LENGTH),
        "database": (manifest.capture.database, 255),
        "milvus_version": (manifest.capture.milvus_version, 40),
    }
    for field, (value, limit) in limits.items():
        if len(value) > limit or not value.isprintable():
            raise ImportRefused(f"The manifest's {field} is not one that a console writes.")


def _refuse_twice(organization: Organization, sha256: str) -> None:
    own = Backup.objects.good().filter(organization=organization, manifest_sha256=sha256)
    if (backup := own.first()) is not None:
        raise AlreadyExists(f"This archive is the backup {backup.name} of this organization.")


def _cluster_of(organization: Organization, manifest: Manifest) -> Cluster:
    """Return the cluster of the archive's service if the organization has it, else the row of a
    deleted cluster that stands for it. Ids that another organization uses are replaced.
    """
    service_id, cluster_id = manifest.capture.service_id, manifest.capture.cluster_id
    if not _SERVICE_ID.fullmatch(service_id):
        service_id = ""
    name = f"imported {service_id or 'archives'}"
    stands_for = Q(service_id=service_id) | Q(name=name, status=ServiceStatus.DELETED)
    own = Cluster.objects.filter(stands_for, organization=organization)
    if (cluster := own.first()) is not None:
        return cluster
    if not service_id or Cluster.objects.filter(service_id=service_id).exists():
        service_id = new_service_id()
    if not _CLUSTER_ID.fullmatch(cluster_id) or Cluster.objects.filter(pk=cluster_id).exists():
        cluster_id = new_cluster_id()
    return Cluster.objects.create(
        cluster_id=cluster_id,
        service_id=service_id,
        organization=organization,
        name=name,
        version=manifest.capture.milvus_version,
        status=ServiceStatus.DELETED,
        status_message="Source of imported backups. The cluster was never part of this console.",
        condition=Condition.ABSENT,
        wanted_running=False,
        sealed_token="",
        deleted_at=timezone.now(),
    )
