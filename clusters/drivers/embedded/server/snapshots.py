"""Snapshots of several collections at one instant, as hard links to their files.

Parquet files of the engine are never changed, so a hard link preserves one independently of its
collection. A snapshot is a directory of such links and `snapshot.json`, which describes them:

    live rows = of every key the row with the largest `_seq` over all data files,
                unless a delta file has the same key with a larger `_seq`
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from milvus_lite.constants import DEFAULT_PARTITION
from milvus_lite.db import SCHEMA_FILENAME
from milvus_lite.storage.data_file import parse_seq_range

from clusters.drivers.embedded.server.control import ControlError
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from clusters.milvus_names import RESERVED_PREFIX, Kind, refusal_of_new, refusal_of_use

logger = logging.getLogger(__name__)

Description = dict[str, Any]

_DESCRIPTION = "snapshot.json"
_UNFINISHED = ".unfinished-"


class SnapshotMissing(ControlError): ...


class SnapshotStore:
    """Snapshots in one directory. The console and the tenant have separate directories."""

    def __init__(self, engine: Engine, locks: CollectionLocks, root: Path) -> None:
        self._engine = engine
        self._locks = locks
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        self._remove_snapshots_with_paths()

    def create(
        self,
        name: str,
        *,
        database: str,
        collections: Sequence[str] = (),
        description: str = "",
        title: str = "",
    ) -> Description:
        """Create a snapshot, or return the existing one of this name.

        Writers of the collections wait until all are flushed and pinned. `created_at` is read
        meanwhile: writes acknowledged before it are contained, calls made after it are not.
        Without `collections` the snapshot contains all of the database except the console's.
        """
        directory = self._directory(name)
        if directory.exists():
            return self.describe(name)
        unfinished = self._root / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            with self._locks.held(lambda: self._chosen(database, collections)) as keys:
                created_at = datetime.datetime.now(datetime.UTC).isoformat()
                pinned = self._pin_all(keys, unfinished)
            described = {
                "name": name,
                "title": title,
                "database": database,
                "description": description,
                "created_at": created_at,
                "collections": _sized(pinned, unfinished),
            }
            write_durably(unfinished / _DESCRIPTION, json.dumps(described))
            unfinished.rename(directory)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return self.describe(name)

    def describe(self, name: str) -> Description:
        directory = self._directory(name)
        if not directory.exists():
            raise SnapshotMissing(
                f"Snapshot {name!r} does not exist. ListSnapshots returns all names."
            )
        described: Description = json.loads((directory / _DESCRIPTION).read_text())
        return {**described, "directory": str(directory)}

    def describe_all(self) -> list[Description]:
        """Describe all snapshots, except those that are dropped meanwhile."""
        described = []
        for name in self.names():
            with suppress(FileNotFoundError, SnapshotMissing):
                described.append(self.describe(name))
        return described

    def amend(self, name: str, **changes: Any) -> None:
        """Replace fields of the description atomically."""
        path = self._directory(name) / _DESCRIPTION
        new = path.with_suffix(".new")
        write_durably(new, json.dumps({**json.loads(path.read_text()), **changes}))
        new.replace(path)

    def drop(self, name: str) -> None:
        """Drop the snapshot. A missing snapshot is not an error."""
        directory = self._directory(name)
        if directory.exists():
            doomed = self._root / f"{_UNFINISHED}{uuid.uuid4().hex}"
            directory.rename(doomed)
            shutil.rmtree(doomed)

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self._root.glob(f"[!.]*/{_DESCRIPTION}"))

    def _remove_snapshots_with_paths(self) -> None:
        """Remove snapshots of older versions that contain partitions whose names are paths."""
        for name in self.names():
            if self._holds_path(name):
                logger.warning("%s: snapshot removed, the name of a partition is a path", name)
                self.drop(name)

    def _holds_path(self, name: str) -> bool:
        try:
            pinned = self.describe(name)["collections"]
        except ValueError:  # an unreadable description must not prevent the start
            return False
        partitions = (name for collection in pinned for name in collection["partitions"])
        return any(refusal_of_use(Kind.PARTITION, partition) for partition in partitions)

    def _directory(self, name: str) -> Path:
        if reason := refusal_of_new(Kind.SNAPSHOT, name):
            raise ControlError(reason)
        return self._root / name

    def _chosen(self, database: str, collections: Iterable[str]) -> list[Key]:
        if not self._engine.has_database(database):
            raise ControlError(f"Database {database!r} does not exist.")
        names = list(collections) or [
            name
            for name in self._engine.list_collections(database)
            if not name.startswith(RESERVED_PREFIX)
        ]
        keys = dict.fromkeys(self._engine.key(name, database) for name in names)
        missing = [name for _, name in keys if not self._engine.has_collection(name, database)]
        if missing:
            raise ControlError(f"Database {database!r} has no collection {', '.join(missing)}.")
        return list(keys)

    def _pin_all(self, keys: Collection[Key], directory: Path) -> list[Description]:
        """Flush all collections before the first is pinned. Compaction changes no row."""
        opened = [(key, self._engine.get_collection(key[1], key[0])) for key in keys]
        for _, collection in opened:
            collection.flush()
        return [
            self._pin(key, collection, directory, f"{number:04}")
            for number, (key, collection) in enumerate(opened, start=1)
        ]

    def _pin(self, key: Key, collection: Any, root: Path, directory: str) -> Description:
        database, name = key
        with collection._maintenance_lock:  # compaction removes files under it
            manifest = collection._manifest
            data = list(_link_all(collection, manifest.get_all_data_files(), root, directory))
            deltas = list(_link_all(collection, manifest.get_all_delta_files(), root, directory))
        schema = (Path(collection.data_dir) / SCHEMA_FILENAME).read_text()
        return {
            "database": database,
            "name": name,
            "aliases": self._engine.list_aliases(name, database),
            "load_state": collection.load_state,
            "primary_key": collection.pk_field,
            "schema": json.loads(schema),
            "indexes": {field: spec.to_dict() for field, spec in collection._index_specs.items()},
            "partitions": [name for name in collection.list_partitions() if not _is_odd(name)],
            "moved_partitions": list(filter(_is_odd, collection.list_partitions())),
            "sequence": manifest.current_seq,
            "next_auto_id": collection._next_auto_id if collection._auto_id else None,
            "data_files": data,
            "delta_files": deltas,
        }


def _link_all(
    collection: Any, files: dict[str, list[str]], root: Path, directory: str
) -> Iterator[Description]:
    """Assign rows of partitions with invalid names to the default partition."""
    for number, (partition, names) in enumerate(sorted(files.items())):
        for name in dict.fromkeys(names):
            source = Path(collection.data_dir) / "partitions" / partition / name
            pinned = Path(directory, f"{number:04}", name)
            link(source, root / pinned)
            least, most = parse_seq_range(name)
            yield {
                "partition": DEFAULT_PARTITION if _is_odd(partition) else partition,
                "path": str(pinned),
                "least_sequence": least,
                "most_sequence": most,
            }


def _is_odd(partition: str) -> bool:
    """Return True for names that older versions accepted and no restore can create."""
    return bool(refusal_of_new(Kind.PARTITION, partition))


def _sized(collections: list[Description], root: Path) -> list[Description]:
    """Add sizes, which are read after the writers continue."""
    for collection in collections:
        for file in (*collection["data_files"], *collection["delta_files"]):
            path = root / file["path"]
            file["rows"] = pq.read_metadata(path).num_rows
            file["bytes"] = path.stat().st_size
    return collections


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def write_durably(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
