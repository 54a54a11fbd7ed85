"""Stage of the trials: a cluster with two collections, a backup of them, and their inspection."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from backups.archive.checksum import RowChecksum
from backups.archive.verify import findings
from backups.connections import connect, open_archive, snapshots_of
from backups.milvus.schema import describe
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from backups.stores.local import LocalStore
from clusters.models import Cluster
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

DATABASE = "default"
ROWS = {"images": 60, "notes": 20}


@dataclasses.dataclass
class Stage:
    cluster: Cluster
    milvus: MilvusClient
    store: LocalStore
    backup: Backup | None = None

    # what there is

    def fill(self) -> None:
        """One is loaded and has an alias, the other is released; one row of each was deleted."""
        for name, rows in ROWS.items():
            self.milvus.create_collection(name, schema=_schema(self.milvus))
            self.milvus.insert(name, [_row(number) for number in range(rows + 1)])
            self.milvus.create_index(name, _index(self.milvus))
            self.milvus.delete(name, ids=[rows])
        self.milvus.load_collection("images")
        self.milvus.create_alias("images", "pictures")
        self.milvus.release_collection("notes")

    def drop(self, *names: str) -> None:
        for name in names:
            for alias in self.milvus.list_aliases(name)["aliases"]:
                self.milvus.drop_alias(alias)
            self.milvus.drop_collection(name)

    def spoil(self) -> None:
        """Rows go and come, so that before and after can be told apart."""
        self.milvus.delete("images", filter="id < 10")
        self.milvus.insert("notes", [_row(1_000)])

    def back_up(self) -> Backup:
        job = plan_backup(self.cluster, collection_names=[*ROWS]).submit(by="alice")
        run_task(job.task.task_id)
        return Backup.objects.get(pk=job.backup_id)

    def restore(self, **options: str) -> BackupJob:
        backup = Backup.objects.get(pk=self.backup.pk if self.backup else None)
        return plan_restore(backup, self.cluster, **options).submit(by="alice")

    # how to look

    def world(self) -> dict[str, Any]:
        """Every collection, hidden ones too: its description and the checksum of its rows."""
        with connect(self.cluster, DATABASE) as client:
            databases = client.databases()
        found = {name: self._of_database(name) for name in databases}
        return {"collections": found, "pins": self._pins()}

    def files(self) -> list[str]:
        return sorted(entry.key for entry in self.store.list(""))

    def foreign(self) -> list[str]:
        """Directories in the store that are no backup."""
        known = {row.directory for row in Backup.objects.filter(status="AVAILABLE")}
        lying = {"/".join(entry.key.split("/")[:2]) for entry in self.store.list("")}
        return sorted(lying - known)

    def damages(self) -> list[str]:
        """Damages of all existing backups."""
        there = Backup.objects.filter(status="AVAILABLE")
        return [str(each) for row in there for each in findings(self.store, row.directory)]

    def _of_database(self, database: str) -> dict[str, Any]:
        with connect(self.cluster, database) as client:
            described = {each: describe(client, each).to_json() for each in client.collections()}
        rows = self._rows(database, [*described]) if described else {}
        return {name: (described[name], rows[name]) for name in described}

    def _rows(self, database: str, names: list[str]) -> dict[str, str]:
        snapshots = snapshots_of(self.cluster)
        assert snapshots is not None
        pinned = snapshots.take("looking", database=database, collections=names)
        try:
            return {
                scan.collection.name: RowChecksum.of(
                    [each.batch for each in scan.batches()]
                ).digest()
                for scan in pinned.scans()
            }
        finally:
            snapshots.drop("looking")

    def _pins(self) -> list[str]:
        snapshots = snapshots_of(self.cluster)
        assert snapshots is not None
        return snapshots.names()


def rows_of(backup: Backup) -> dict[str, str]:
    """The checksum of each of its collections."""
    manifest = open_archive(backup).manifest
    return {each.description.name: each.row_checksum for each in manifest.collections}


def last_task() -> Task:
    return Task.objects.latest("pk")


def _schema(milvus: MilvusClient) -> Any:
    schema = milvus.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("title", DataType.VARCHAR, max_length=100)
    return schema


def _index(milvus: MilvusClient) -> Any:
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="COSINE", params={"M": 8})
    return index


def _row(number: int) -> dict[str, Any]:
    vector = np.random.default_rng(number).random(4, dtype=np.float32)
    return {"id": number, "vector": vector.tolist(), "title": f"№ {number}", "extra": number % 7}
