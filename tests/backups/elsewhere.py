"""A backup as another Milvus would have made it: the same rows, said to be of that server, with
the dynamic field spelled as clients of a full Milvus send it.
"""

from __future__ import annotations

import dataclasses
import json

import pyarrow as pa

from backups.archive.access_control import AccessControl, RoleDescription
from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.archive.manifest import Manifest
from backups.archive.reader import ArchiveReader
from backups.archive.writer import seal, write_parts
from backups.connections import get_store
from backups.models import Backup
from backups.stores.base import Store

FULL = "v2.6.3"


def as_of_a_full_milvus(backup: Backup, store: Store, version: str = FULL) -> Backup:
    """Write its archive anew, in the other spelling."""
    reader = ArchiveReader(store, backup.directory)
    manifest, (content,) = reader.manifest, reader.manifest.collections
    batches = [_respelled(batch) for part in content.parts for batch in reader.batches(part)]
    delete_archive(store, backup.directory)
    description = content.description
    parts = list(
        write_parts(store, backup.directory, description, description.partitions[0], batches)
    )
    again = Manifest.of(
        backup_id=backup.backup_id,
        organization_id=str(backup.organization_id),
        capture=dataclasses.replace(manifest.capture, milvus_version=version),
        collections=[description],
        parts=parts,
    )
    backup.manifest_sha256 = seal(store, backup.directory, again)
    backup.save(update_fields=["manifest_sha256"])
    return backup


def with_roles(backup: Backup) -> Backup:
    """Seal its archive again, with a role of another server."""
    store = get_store()
    manifest = ArchiveReader(store, backup.directory).manifest
    role = RoleDescription(name="reader", members=("alice",), grants=())
    access_control = AccessControl(users=("alice",), roles=(role,), privilege_groups=())
    store.delete(f"{backup.directory}/{MANIFEST_NAME}")
    again = dataclasses.replace(manifest, access_control=access_control)
    backup.manifest_sha256 = seal(store, backup.directory, again)
    backup.has_access_control = True
    backup.save(update_fields=["manifest_sha256", "has_access_control"])
    return backup


def _respelled(batch: pa.RecordBatch) -> pa.RecordBatch:
    at = batch.schema.get_field_index("$meta")
    documents = [_compact(document) for document in batch.column(at).to_pylist()]
    field = batch.schema.field(at)
    return batch.set_column(at, field, pa.array(documents, field.type))


def _compact(document: bytes) -> bytes:
    pairs = json.loads(document).items()
    return json.dumps(dict(reversed(pairs)), separators=(",", ":"), ensure_ascii=False).encode()
