"""Engine of a cluster: milvus-lite made safe for concurrent calls and for kills.

`MilvusLite` is written for one caller in one process. This subclass keeps its methods and prevents
the faults of a server: directories opened twice by concurrent callers, load states and auto ids
lost at a restart or a rename, and broken collections after a kill during a change.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from milvus_lite.db import DEFAULT_DATABASE_NAME, SCHEMA_FILENAME, MilvusLite
from milvus_lite.exceptions import CollectionAlreadyExistsError
from milvus_lite.storage.manifest import Manifest

from clusters.drivers.embedded.server import (
    auto_ids,
    background,
    disk_full,
    indexing,
    key_order,
    like,
    load_state,
    locking,
    odd_names,
    read_gate,
)
from clusters.drivers.embedded.server.locking import Key, YieldingLock
from clusters.milvus_names import Kind, refusal_of_use

logger = logging.getLogger(__name__)

_TRASH = ".trash"
_STAGING = ".staging"


def _in_catalogue(name: str) -> Callable[..., Any]:
    """Return the engine's method of this name, executed under the lock of the catalogue."""

    def method(self: Engine, *arguments: Any, **options: Any) -> Any:
        with self.catalogue:
            return getattr(super(Engine, self), name)(*arguments, **options)

    return method


class Engine(MilvusLite):  # type: ignore[misc]
    """`catalogue` guards the opening of collections and the list of names, never the rows.

    Callers that change a collection hold its write lock, which is always taken first.
    """

    def __init__(self, data_dir: Path, *, guarded: bool = True) -> None:
        self.catalogue: AbstractContextManager[Any] = YieldingLock() if guarded else nullcontext()
        self.failures: dict[Key, str] = {}
        self.root = data_dir
        self._settled: dict[Key, Any] = {}
        indexing.install()
        odd_names.install()
        like.install()
        background.install()
        super().__init__(str(data_dir))
        self._empty_trash()
        shutil.rmtree(self.root / _STAGING, ignore_errors=True)

    create_database = _in_catalogue("create_database")
    drop_database = _in_catalogue("drop_database")
    alter_database_properties = _in_catalogue("alter_database_properties")
    create_alias = _in_catalogue("create_alias")
    alter_alias = _in_catalogue("alter_alias")
    drop_alias = _in_catalogue("drop_alias")

    def _aliases(self, database_name: str) -> Any:
        """Insert atomically, because names are looked up without a lock."""
        known = self._aliases_by_db.get(database_name)
        if known is not None:
            return known
        if database_name not in self.list_databases():
            return {}  # an unknown name must reach no path and occupy no memory
        return self._aliases_by_db.setdefault(database_name, self._load_aliases(database_name))

    def _load_aliases(self, database_name: str = DEFAULT_DATABASE_NAME) -> dict[str, str]:
        return odd_names.without_odd_aliases(super()._load_aliases(database_name))

    # Opening

    def prepare(self) -> None:
        """Remove leftovers of a killed process, and read all aliases for lookups without a lock."""
        for database in self.list_databases():
            self._remove_directories_without_schema(database)
            self._remove_aliases_of_nothing(database)

    def keys(self) -> list[Key]:
        return [
            (database, name)
            for database in self.list_databases()
            for name in self.list_collections(database)
        ]

    def open_all(self) -> Iterator[Key]:
        """Open and load all collections, also if some are broken."""
        for key in self.keys():
            yield key
            database, name = key
            try:
                self.get_collection(name, database)
            except Exception as error:  # an error of any type must not prevent the others
                logger.exception("%s/%s: collection not opened", database, name)
                self.failures[key] = f"The collection could not be opened: {error}"

    def key(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> Key:
        database: str = self._normalize_database_name(database_name)
        real_name: str = self.resolve_collection_name(name, database)
        return database, real_name

    def opened(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> Any | None:
        """Return the collection if it is open. Takes no lock."""
        return self._settled.get(self.key(name, database_name))

    def settled(self) -> list[tuple[Key, Any]]:
        """Return all open collections. Takes no lock."""
        return list(self._settled.items())

    def get_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> Any:
        opened = self.opened(name, database_name)
        if opened is not None:
            return opened
        with self.catalogue:
            key = self.key(name, database_name)
            if key not in self._collections and self.has_collection(name, database_name):
                odd_names.detach(self._directory(key))
            return self._settle(super().get_collection(name, database_name))

    def create_collection(self, *arguments: Any, **options: Any) -> Any:
        with self.catalogue:
            return self._settle(super().create_collection(*arguments, **options))

    def add_collection(self, key: Key, fill: Callable[[Path], None]) -> None:
        """Let `fill` write the files of a collection, then publish the collection in one step.

        Raises CollectionAlreadyExistsError if a collection or an alias has the name.
        """
        database, name = key
        self._validate_name(name)
        staged = self.root / _STAGING / uuid.uuid4().hex
        staged.mkdir(parents=True)
        try:
            fill(staged)
            with self.catalogue:
                if self.has_collection(name, database) or name in self._aliases(database):
                    raise CollectionAlreadyExistsError(f"collection {name!r} exists already")
                staged.rename(self._directory(key))
                self.get_collection(name, database)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _settle(self, collection: Any) -> Any:
        """Publish a collection to readers after its load state has been restored."""
        key: Key = next(key for key, value in self._collections.items() if value is collection)
        if key not in self._settled:
            locking.furnish(collection)
            disk_full.furnish(collection)
            read_gate.furnish(collection)
            indexing.furnish(collection)
            load_state.rebuild_broken_indexes(collection)
            auto_ids.furnish(collection)
            key_order.furnish(collection)
            self._load(key, collection)
            self._settled[key] = collection
        return self._settled[key]

    def _load(self, key: Key, collection: Any) -> None:
        self.failures.pop(key, None)
        try:
            load_state.restore(collection)
        except Exception as error:  # index errors of any type must not hide the rows
            logger.exception("%s/%s: collection not loaded", *key)
            self.failures[key] = f"The collection could not be loaded: {error}"

    # Changes that leave a complete collection or none if they are killed at any point

    def drop_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        """Free disk space before anything is written, so that a drop succeeds on a full disk."""
        key = self.key(name, database_name)
        self._end_background_work(key)
        with self.catalogue:
            if not self.has_collection(name, database_name):
                return
            retired = self._withdraw(key)
            if retired is not None:  # without a flush
                retired._bg_closed = True
                retired._bg_executor.shutdown(wait=True)
            self._discard(self._directory(key))
            self._empty_trash()
            self._remove_aliases_of_nothing(key[0])
            if retired is not None:
                _close_log(retired)

    def rename_collection(
        self, old_name: str, new_name: str, database_name: str = DEFAULT_DATABASE_NAME
    ) -> None:
        key = self.key(old_name, database_name)
        self._finish_background_work(key)
        with self.catalogue:
            self._settled.pop(key, None)
            self.failures.pop(key, None)
            super().rename_collection(old_name, new_name, database_name)
            self.get_collection(new_name, database_name)

    def truncate_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        """Commit a manifest without files. Recovery removes all files that it does not list."""
        key = self.key(name, database_name)
        manifest = self.get_collection(name, database_name)._manifest
        self._finish_background_work(key)
        with self.catalogue:
            withdrawn = self._withdraw(key)
            if withdrawn is not None:
                withdrawn.close()
            _emptied(manifest).save()
            self.get_collection(*reversed(key))

    def _end_background_work(self, key: Key) -> None:
        """Cancel the index builds of a dropped collection and wait for their end."""
        collection = self._settled.get(key)
        if collection is not None:
            indexing.building_of(collection).is_dropped = True
            collection._wait_for_bg()

    def _withdraw(self, key: Key) -> Any | None:
        """Remove a collection from lookups. Returns it if it was open."""
        self._settled.pop(key, None)
        self.failures.pop(key, None)
        return self._collections.pop(key, None)

    def _finish_background_work(self, key: Key) -> None:
        """Wait for index builds before the catalogue is locked, because they take minutes."""
        collection = self._settled.get(key)
        if collection is not None:
            collection.flush()
            collection._wait_for_bg()

    def flush_all(self) -> None:
        for collection in list(self._settled.values()):
            collection.flush()

    # Files

    def disk_bytes(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> int:
        return files_bytes(self._directory((database_name, name)))

    def _collection_dir(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> str:
        """Check the name again, because every path of a collection is built here."""
        _require_no_path(Kind.COLLECTION, name)
        return str(super()._collection_dir(name, database_name))

    def _database_dir(self, database_name: str) -> str:
        _require_no_path(Kind.DATABASE, database_name)
        return str(super()._database_dir(database_name))

    def _directory(self, key: Key) -> Path:
        database, name = key
        return Path(self._collection_dir(name, database))

    def _discard(self, directory: Path) -> None:
        """Move to the trash in one step, because deletion file by file can be interrupted."""
        trash = self.root / _TRASH
        trash.mkdir(exist_ok=True)
        directory.rename(trash / uuid.uuid4().hex)

    def _empty_trash(self) -> None:
        shutil.rmtree(self.root / _TRASH, ignore_errors=True)

    def _remove_directories_without_schema(self, database: str) -> None:
        root = Path(self._collections_root(database))
        for directory in root.iterdir() if root.exists() else ():
            if directory.is_dir() and not (directory / SCHEMA_FILENAME).exists():
                logger.warning(
                    "%s: directory without schema removed, it contains no rows", directory
                )
                shutil.rmtree(directory)

    def _remove_aliases_of_nothing(self, database: str) -> None:
        aliases = self._aliases(database)
        lost = [
            alias
            for alias, name in aliases.items()
            if not self._directory((database, name)).exists()
        ]
        for alias in lost:
            del aliases[alias]
        if lost:
            self._save_aliases(database)


def _require_no_path(kind: Kind, name: str) -> None:
    if reason := refusal_of_use(kind, name):
        raise ValueError(reason)


def _close_log(collection: Any) -> None:
    """Close the handle of a removed log. Its buffer need not reach the disk."""
    try:
        collection._wal.close_and_delete()
    except (OSError, pa.ArrowException) as error:
        logger.info("%s: log of the dropped collection not closed: %s", collection.name, error)


def _emptied(manifest: Any) -> Any:
    """Keep partitions, indexes and the sequence, so that no auto id is generated twice."""
    empty = Manifest(manifest.data_dir)
    for partition in manifest.list_partitions():
        if not empty.has_partition(partition):
            empty.add_partition(partition)
    for spec in manifest.index_specs.values():
        empty.set_index_spec(spec)
    empty.schema_version = manifest.schema_version
    empty.current_seq = manifest.current_seq
    empty.active_wal_number = manifest.active_wal_number
    return empty


def files_bytes(directory: Path) -> int:
    """Return the bytes of all files below a directory. Vanished files count nothing."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total
