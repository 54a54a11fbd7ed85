"""The store that backups lie in and the Milvus that they are of, made from the settings.

What reads rows is imported by the call that first needs it: most processes never do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME
from backups.models import Backup
from backups.stores.base import Store, StoreError
from backups.stores.local import LocalStore
from clusters.driver import get_driver
from clusters.drivers.base import ConsoleAccess
from clusters.models import Cluster
from vbase_console.core.errors import Unavailable

if TYPE_CHECKING:
    from backups.archive.reader import ArchiveReader
    from backups.milvus.client import Client
    from backups.milvus.snapshot import Snapshots


@lru_cache(maxsize=1)
def get_store() -> Store:
    return LocalStore(settings.BACKUP_STORE)


def require_store() -> None:
    """Raise `StoreError` where nothing at all lies in the store. Whoever misses a file there asks
    first: the directory of a disk that is not mounted is empty, and no backup is lost by that.
    """
    if not any(True for _ in get_store().list("")):
        raise StoreError("The backup store is empty. Is its directory there and mounted?")


def open_archive(backup: Backup) -> ArchiveReader:
    """The archive of this backup and of no other; `ArchiveDamaged` where it is not the one that
    was sealed.
    """
    from backups.archive.reader import ArchiveReader

    reader = ArchiveReader(get_store(), backup.directory)
    manifest = reader.manifest
    sealed = (backup.backup_id, str(backup.organization_id), backup.manifest_sha256)
    found = (manifest.backup_id, manifest.organization_id, reader.manifest_sha256)
    if found != sealed:
        raise ArchiveDamaged(MANIFEST_NAME, "it is not the one that was sealed for this backup")
    return reader


def address_of(cluster: Cluster) -> ConsoleAccess:
    """Raises `Unavailable` where no server can be called now."""
    access = get_driver().console_access(cluster.cluster_id)
    if access is None:
        raise Unavailable(
            f"{cluster.service_id} has no running server to call; try again when it is RUNNING."
        )
    return access


@contextmanager
def connect(cluster: Cluster, database: str, attempt: str = "") -> Iterator[Client]:
    """A connection with the console's own credential: hidden collections are seen, too. Jobs name
    their attempt, so that the server can refuse the one that was overtaken.
    """
    access = address_of(cluster)
    from backups.milvus.client import Client, MilvusAddress

    endpoint = MilvusAddress(
        host=access.endpoint.host,
        port=access.endpoint.port,
        credential=access.credential,
        database=database,
        attempt=attempt,
    )
    with Client(endpoint) as client:
        yield client


def free_bytes_of(cluster: Cluster) -> int | None:
    """None where its driver cannot tell."""
    return get_driver().free_bytes(cluster.cluster_id)


def snapshots_of(cluster: Cluster, attempt: str = "") -> Snapshots | None:
    """None where the server has no snapshots that we could ask for."""
    access = address_of(cluster)
    if access.control is None or access.snapshots is None:
        return None
    from backups.milvus.snapshot import Snapshots

    return Snapshots(access.control, access.snapshots, attempt)
