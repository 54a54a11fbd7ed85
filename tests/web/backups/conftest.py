"""Pages of backups without a Milvus: rows are seeded, the store is a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups import connections
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.archive.manifest import Capture, Manifest
from backups.archive.writer import seal
from backups.models import Backup
from backups.stores.base import Store
from clusters.models import Cluster
from tests.backups.seeds import seed_backup

KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)
CAPTURE = Capture(
    database="default",
    captured_at="2030-01-02T03:04:05+00:00",
    method="snapshot",
    milvus_version="3.2.2",
)


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def backup(cluster: Cluster) -> Backup:
    return seed_backup(cluster, "nightly")


@pytest.fixture
def store(tmp_path: Path, settings: object) -> Iterator[Store]:
    settings.BACKUP_STORE = str(tmp_path / "store")  # type: ignore[attr-defined]
    connections.get_store.cache_clear()
    yield connections.get_store()
    connections.get_store.cache_clear()


@pytest.fixture
def sealed(backup: Backup, store: Store) -> Backup:
    """A backup whose manifest lies in the store; its one collection is empty."""
    backup.manifest_sha256 = seal(store, backup.directory, manifest_of(backup))
    backup.save()
    return backup


def manifest_of(backup: Backup) -> Manifest:
    return Manifest.of(
        backup_id=backup.backup_id,
        organization_id=str(backup.organization_id),
        capture=CAPTURE,
        collections=[CollectionDescription(name="from_the_manifest", fields=(KEY,))],
        parts=[],
    )
