"""Snapshots that a tenant creates, lists, restores and drops with an SDK.

A snapshot belongs to a collection, is renamed with the collection and kept after its drop. Names
are unique per collection. A restore creates a collection from hard links to the pinned files.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from milvus_lite.db import SCHEMA_FILENAME
from milvus_lite.index.spec import IndexSpec
from milvus_lite.storage.manifest import Manifest

from clusters.drivers.embedded.server import load_state
from clusters.drivers.embedded.server.control import ControlError
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import Key
from clusters.drivers.embedded.server.snapshots import (
    Description,
    SnapshotStore,
    link,
    write_durably,
)

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}")
_MAX_JOBS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreJob:
    """Finished restore. Jobs are not kept over a restart of the cluster."""

    number: int
    snapshot: str
    database: str
    collection: str
    started_at_milliseconds: int
    seconds: float


class TenantSnapshots:
    """Callers hold the write lock of the collection of the snapshot."""

    def __init__(self, engine: Engine, files: SnapshotStore) -> None:
        self._engine = engine
        self._files = files
        self._jobs: dict[int, RestoreJob] = {}
        self._noting = threading.Lock()

    def create(self, name: str, *, database: str, collection: str, description: str) -> None:
        if not _NAME.fullmatch(name):
            raise ControlError(
                f"{name!r} cannot be the name of a snapshot. Use letters, digits, '.', '_' and '-'."
            )
        owner = self._engine.key(collection, database)
        if self._of(owner, name):
            raise ControlError(
                f"Snapshot {name!r} of collection {collection!r} exists. Drop it first, or choose "
                "another name."
            )
        self._files.create(
            uuid.uuid4().hex,
            database=database,
            collections=[collection],
            description=description,
            title=name,
        )

    def find(self, name: str, *, database: str, collection: str) -> Description:
        snapshots = self._of(self._engine.key(collection, database), name)
        if not snapshots:
            raise ControlError(
                f"Collection {collection!r} has no snapshot {name!r}. Call list_snapshots for its "
                "snapshots."
            )
        return max(snapshots, key=lambda snapshot: str(snapshot["created_at"]))

    def titles(self, *, database: str, collection: str = "") -> list[str]:
        """Return the names of the snapshots of one collection, or of the whole database."""
        key = self._engine.key(collection, database)
        return sorted(
            {
                described["title"]
                for described in self._all()
                if _owner(described) == key or (not collection and _owner(described)[0] == key[0])
            }
        )

    def drop(self, name: str, *, database: str, collection: str) -> None:
        snapshot = self.find(name, database=database, collection=collection)
        self._files.drop(snapshot["name"])

    def follow_rename(self, old: Key, new: Key) -> None:
        for described in self._all():
            if _owner(described) == old:
                (pinned,) = described["collections"]
                self._files.amend(described["name"], collections=[{**pinned, "name": new[1]}])

    def restore(self, name: str, *, source: Key, target: Key) -> RestoreJob:
        """Create the target from the snapshot. load_collection builds its indexes."""
        started_at = time.time()
        snapshot = self.find(name, database=source[0], collection=source[1])
        (pinned,) = snapshot["collections"]
        root = Path(snapshot["directory"])
        self._engine.add_collection(target, lambda path: _fill(path, root, pinned, target[1]))
        job = RestoreJob(
            number=time.time_ns() // 1_000,
            snapshot=name,
            database=target[0],
            collection=target[1],
            started_at_milliseconds=int(started_at * 1000),
            seconds=time.time() - started_at,
        )
        return self._noted(job)

    def _noted(self, job: RestoreJob) -> RestoreJob:
        with self._noting:
            number = max([job.number, *(known + 1 for known in self._jobs)])
            job = dataclasses.replace(job, number=number)
            self._jobs[number] = job
            if len(self._jobs) > _MAX_JOBS:
                del self._jobs[min(self._jobs)]
        return job

    def job(self, number: int) -> RestoreJob:
        job = self._jobs.get(number)
        if job is None:
            raise ControlError(
                f"Restore job {number} does not exist: no restore job has this number since the "
                "cluster was started. Use the number that restore_snapshot returned, or check the "
                "collection."
            )
        return job

    def jobs(self, *, database: str, collection: str = "") -> list[RestoreJob]:
        with self._noting:
            jobs = list(self._jobs.values())
        return [
            job for job in jobs if job.database == database and collection in ("", job.collection)
        ]

    def _of(self, owner: Key, name: str) -> list[Description]:
        return [
            snapshot
            for snapshot in self._all()
            if _owner(snapshot) == owner and snapshot["title"] == name
        ]

    def _all(self) -> list[Description]:
        return self._files.describe_all()


def _owner(described: Description) -> Key:
    (pinned,) = described["collections"]
    return pinned["database"], pinned["name"]


def _fill(directory: Path, root: Path, pinned: Description, name: str) -> None:
    """Write a complete collection of this name into an empty directory."""
    manifest = Manifest(str(directory))
    for partition in pinned["partitions"]:
        (directory / "partitions" / partition).mkdir(parents=True)
        if not manifest.has_partition(partition):
            manifest.add_partition(partition)
    for files, add in (
        (pinned["data_files"], manifest.add_data_file),
        (pinned["delta_files"], manifest.add_delta_file),
    ):
        for file in files:
            name_in_partition = str(Path(*Path(file["path"]).parts[2:]))
            target = directory / "partitions" / file["partition"] / name_in_partition
            if not target.exists():  # a deletion in all partitions is one file in each
                link(root / file["path"], target)
                add(file["partition"], name_in_partition)
    for spec in pinned["indexes"].values():
        manifest.set_index_spec(IndexSpec.from_dict(spec))
    manifest.current_seq = pinned["sequence"]
    manifest.save()
    if pinned["indexes"]:
        load_state.mark_released(directory)
    schema: dict[str, Any] = {**pinned["schema"], "collection_name": name}
    write_durably(directory / SCHEMA_FILENAME, json.dumps(schema))
