"""Steps that these tests share: create, read in both ways, copy, compare."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pymilvus import DataType, MilvusClient

from backups.archive.checksum import RowChecksum
from backups.archive.description import CollectionDescription
from backups.milvus.client import Client, MilvusAddress
from backups.milvus.create import create
from backups.milvus.insert import Inserter
from backups.milvus.pinned import PinnedScan
from backups.milvus.scan import Scan, Scanned
from backups.milvus.schema import describe
from backups.milvus.snapshot import Snapshots
from backups.milvus.wire import WireScan

DIMENSION = 4


def endpoint(port: int, credential: str, **options: Any) -> MilvusAddress:
    return MilvusAddress(host="127.0.0.1", port=port, credential=credential, **options)


def unused_name() -> str:
    return f"c_{uuid.uuid4().hex[:12]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    tenant: MilvusClient
    milvus: Client
    snapshots: Snapshots

    def make(self, *, key: DataType = DataType.INT64, **options: Any) -> str:
        """A collection of a key, a vector and a dynamic field."""
        name = unused_name()
        schema = self.tenant.create_schema(enable_dynamic_field=True, **options)
        limits = {"max_length": 100} if key is DataType.VARCHAR else {}
        schema.add_field("id", key, is_primary=True, **limits)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        self.tenant.create_collection(name, schema=schema)
        return name

    def describe(self, name: str) -> CollectionDescription:
        return describe(self.milvus, name)

    def pin(self, *names: str) -> list[PinnedScan]:
        return self.snapshots.take(unused_name(), database="default", collections=names).scans()

    def pinned(self, name: str) -> list[Scanned]:
        return list(self.pin(name)[0].batches())

    def wire(self, name: str, **options: Any) -> list[Scanned]:
        return list(WireScan(self.milvus, self.describe(name), **options).batches())

    def copy(self, scan: Scan) -> str:
        """Into a new collection that is made after the description."""
        name = unused_name()
        create(self.milvus, scan.collection, name)
        inserter = Inserter(self.milvus, scan.collection, name)
        for each in scan.batches():
            inserter.add(each.batch, each.partition)
        inserter.finish()
        return name


def row(key: Any, number: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"id": key, "vector": [number] * DIMENSION, **fields}


def keys(scanned: Iterable[Scanned]) -> list[Any]:
    return [key for each in scanned for key in each.batch.column("id").to_pylist()]


def by_partition(scanned: Iterable[Scanned]) -> dict[str | None, str]:
    """The checksum of the rows of each partition that has any."""
    sums: dict[str | None, RowChecksum] = {}
    for each in scanned:
        sums.setdefault(each.partition, RowChecksum()).update(each.batch)
    return {partition: found.digest() for partition, found in sums.items()}


def checksum(batches: Iterable[pa.RecordBatch]) -> str:
    return RowChecksum.of(list(batches)).digest()


def content(scanned: Iterable[Scanned]) -> str:
    return checksum(each.batch for each in scanned)
