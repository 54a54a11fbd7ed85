"""Connections to the backup store and to a cluster's Milvus, built from settings.

Modules that read rows are imported by the first call that needs them (ADR 0014).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME
from backups.models import Backup
from backups.stores import load_store
from backups.stores.base import Store, StoreError, is_check
from backups.stores.s3_options import env_str
from clusters.driver import driver_of
from clusters.drivers.base import ConsoleAccess, DriverError
from clusters.models import Cluster
from vbase_console.core.addresses import Listener
from vbase_console.core.errors import Unavailable

if TYPE_CHECKING:
    from backups.archive.reader import ArchiveReader
    from backups.milvus.client import Client
    from backups.milvus.snapshot import Snapshots


@lru_cache(maxsize=1)
def get_store() -> Store:
    return load_store(settings.BACKUP_STORE)


def store_listeners() -> Iterator[Listener]:
    """Return host and port of an S3 server of the operator, so that tenants cannot attach to it."""
    endpoint = urlsplit(env_str("VBASE_S3_ENDPOINT", ""))
    if settings.BACKUP_STORE.startswith("s3://") and endpoint.hostname:
        port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
        yield Listener(host=endpoint.hostname, port=port)


def require_store() -> None:
    """Raise StoreError if the store is empty, because an unmounted disk looks like an empty
    directory.
    """
    if all(is_check(entry.key) for entry in get_store().list("")):
        raise StoreError(
            "The backup store is empty. Check that its directory exists and is mounted."
        )


def open_archive(backup: Backup) -> ArchiveReader:
    """Open the archive of `backup`. Raises ArchiveDamaged if the manifest is not the one that was
    sealed for it.
    """
    from backups.archive.reader import ArchiveReader

    reader = ArchiveReader(get_store(), backup.directory)
    manifest = reader.manifest
    sealed = (*backup.manifest_ids, backup.manifest_sha256)
    stored = (manifest.backup_id, manifest.organization_id, reader.manifest_sha256)
    if stored != sealed:
        raise ArchiveDamaged(MANIFEST_NAME, "it is not the one that was sealed for this backup")
    return reader


def address_of(cluster: Cluster) -> ConsoleAccess:
    """Return the checked address of the running server. Raises Unavailable if none answers."""
    try:
        access = driver_of(cluster).console_access(cluster.cluster_id)
    except DriverError as error:
        raise Unavailable(f"{cluster.service_id} cannot be reached: {error}") from error
    if access is None:
        raise Unavailable(
            f"{cluster.service_id} has no running server. Try again when the cluster is RUNNING."
        )
    return access


@contextmanager
def connect(
    cluster: Cluster,
    database: str,
    attempt: str = "",
    *,
    connections: int = 1,
    max_answer_bytes: int | None = None,
) -> Iterator[Client]:
    """Connect with the console's credential, which also sees hidden collections. A job passes its
    attempt, so that the server can refuse a superseded one. `max_answer_bytes` limits an answer.
    """
    access = address_of(cluster)
    from backups.milvus.client import MAX_MESSAGE_BYTES, Client, MilvusAddress

    endpoint = MilvusAddress(
        host=access.endpoint.host,
        port=access.endpoint.port,
        credential=access.credential,
        tls=access.tls,
        given_as=access.given_as,
        is_console=access.control is not None,
        database=database,
        attempt=attempt,
    )
    limit = max_answer_bytes or MAX_MESSAGE_BYTES
    with Client(endpoint, connections=connections, max_answer_bytes=limit) as client:
        yield client


def free_bytes_of(cluster: Cluster) -> int | None:
    return driver_of(cluster).free_bytes(cluster.cluster_id)


def snapshots_of(cluster: Cluster, attempt: str = "") -> Snapshots | None:
    """Return the snapshot service of the cluster, or None if its server has none."""
    access = address_of(cluster)
    if access.control is None or access.snapshots is None:
        return None
    from backups.milvus.snapshot import Snapshots

    return Snapshots(access.control, access.snapshots, attempt)
