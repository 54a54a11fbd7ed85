"""A complete backup store in memory, for tests. It ends with the process."""

from __future__ import annotations

import contextlib
import datetime
import io
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from backups.stores.base import (
    Guard,
    ObjectExists,
    ObjectMissing,
    StoreEntry,
    StoreFull,
    checked_key,
    unguarded,
)


class MemoryStore:
    publishes_at_once = True

    def __init__(self, *, capacity: int | None = None) -> None:
        """`capacity` limits the size in bytes."""
        self.objects: dict[str, bytes] = {}
        self.capacity = capacity
        self.staged: dict[_StagedBytes, float] = {}
        self.publishing = threading.Lock()

    @contextlib.contextmanager
    def stage(self) -> Iterator[_StagedBytes]:
        staged = _StagedBytes(self)
        self.staged[staged] = time.time()
        try:
            yield staged
        finally:
            self.staged.pop(staged, None)

    def open(self, key: str) -> BinaryIO:
        checked_key(key)
        if key not in self.objects:
            raise ObjectMissing(f"Could not read {key}: the object does not exist.")
        return io.BytesIO(self.objects[key])

    def read(self, key: str, *, limit: int) -> bytes:
        with self.open(key) as stream:
            return stream.read(limit)

    def size(self, key: str) -> int | None:
        checked_key(key)
        return len(self.objects[key]) if key in self.objects else None

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoreEntry]:
        if prefix:
            checked_key(prefix)
        start = f"{prefix}/" if prefix else ""
        for key in sorted(key for key in self.objects if key.startswith(start) and key > after):
            yield StoreEntry(key=key, size=len(self.objects[key]))

    def delete(self, key: str) -> None:
        checked_key(key)
        self.objects.pop(key, None)

    def delete_prefix(self, prefix: str) -> int:
        checked_key(prefix)
        keys = [entry.key for entry in self.list(prefix)]
        for key in keys:
            del self.objects[key]
        return len(keys)

    def sweep(self, older_than: datetime.timedelta) -> int:
        latest = time.time() - older_than.total_seconds()
        old = [staged for staged, written_at in self.staged.items() if written_at <= latest]
        for staged in old:
            del self.staged[staged]
        return len(old)

    def free_bytes(self) -> int | None:
        if self.capacity is None:
            return None
        published = sum(map(len, self.objects.values()))
        return self.capacity - published - sum(len(staged.data) for staged in self.staged)

    def ping(self) -> None:
        """Do nothing, because memory is always there."""

    def checksum_problem(self, key: str) -> str:
        return ""


class _StagedBytes:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.data = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        free_bytes = self.store.free_bytes()
        if free_bytes is not None and len(data) > free_bytes:
            raise StoreFull("Could not write to the store: the storage is full.")
        self.data += data
        self.store.staged[self] = time.time()
        return len(data)

    def finish(self) -> None:
        """Do nothing, because publishing is quick."""

    def publish(self, key: str, guard: Guard = unguarded, *, sha256: str = "") -> None:
        checked_key(key)
        with self.store.publishing:
            if key in self.store.objects:
                raise ObjectExists(f"Could not publish {key}: the object exists.")
            self.store.objects[key] = bytes(self.data)
        del self.store.staged[self]
