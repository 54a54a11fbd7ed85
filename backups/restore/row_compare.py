"""Comparison of restored rows with the archive: every row is read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pyarrow as pa

from backups.archive.checksum import RowChecksum
from backups.archive.description import DYNAMIC_FIELD_NAME, CollectionDescription
from backups.capture.rate_limit import bytes_per_second
from backups.connections import snapshots_of
from backups.milvus.client import Client
from backups.milvus.decode import NO_DYNAMIC_FIELDS
from backups.milvus.scan import Scan
from backups.milvus.wire import WireScan
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt


def read_back(
    attempt: Attempt, job: BackupJob, client: Client, collection: CollectionDescription, hidden: str
) -> Iterator[pa.RecordBatch]:
    """Yield all rows of the hidden collection, from a snapshot if the server has snapshots."""
    snapshots = snapshots_of(job.cluster, attempt.name)
    if snapshots is None:
        copy = dataclasses.replace(collection, name=hidden)
        yield from _batches(WireScan(client, copy, max_bytes=bytes_per_second()))
        return
    name = f"{attempt.name}-{hidden}"
    snapshot = snapshots.take(name, database=job.db_name, collections=[hidden])
    try:
        yield from _batches(snapshot.scans()[0])
    finally:
        snapshots.drop(name)


def _batches(scan: Scan) -> Iterator[pa.RecordBatch]:
    return (scanned.batch for scanned in scan.batches())


class RowChecksumComparison:
    """Checksum of rows. With `normalize_json`, equal JSON documents of dynamic fields have equal
    checksums, regardless of key order and spacing.
    """

    def __init__(self, *, normalize_json: bool) -> None:
        self._checksum = RowChecksum()
        self._normalize_json = normalize_json

    def update(self, batch: pa.RecordBatch) -> None:
        self._checksum.update(_normalize_dynamic_field(batch) if self._normalize_json else batch)

    def digest(self) -> str:
        return self._checksum.digest()

    @property
    def rows(self) -> int:
        return self._checksum.rows


def _normalize_dynamic_field(batch: pa.RecordBatch) -> pa.RecordBatch:
    index = batch.schema.get_field_index(DYNAMIC_FIELD_NAME)
    field = batch.schema.field(index)
    documents = [_normalize(document) for document in batch.column(index).to_pylist()]
    return batch.set_column(index, field, pa.array(documents, field.type))


def _normalize(document: bytes | None) -> bytes | None:
    if document is None:
        return None
    normalized = json.dumps(json.loads(document), sort_keys=True).encode()
    return None if normalized == NO_DYNAMIC_FIELDS else normalized
