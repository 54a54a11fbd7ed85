"""Deletion of expired rows in collections with `collection.ttl.seconds`.

The engine stores no time of a row, but numbers every write. Each sweep marks the number that was
reached. A row has expired if a mark of sufficient age has reached its number, so that rows are
never deleted early. Deletion is at most two marks late, unless the sweep waits for a write lock:
one thread sweeps all collections, and an index build of any of them delays it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from clusters.milvus_names import RESERVED_PREFIX

logger = logging.getLogger(__name__)

PROPERTY = "collection.ttl.seconds"

_MARKS = "vbase_written.json"
_MARKS_IN_A_LIFE = 50
_SWEEP_INTERVAL_SECONDS = 1.0
_RETRY_SECONDS = 60.0
_BATCH_SIZE = 10_000

Mark = tuple[float, int]
"""Time, and the number of the last write before it."""


class Expiry:
    """Sweeps of the collections with a time to live."""

    def __init__(
        self,
        engine: Engine,
        locks: CollectionLocks,
        now: Callable[[], float] = time.time,
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine = engine
        self._locks = locks
        self._now = now
        self._is_paused = is_paused
        self._due: dict[Key, float] = {}

    def run(self, stopping: threading.Event) -> None:
        while not stopping.wait(_SWEEP_INTERVAL_SECONDS):
            if not self._is_paused():
                self.sweep()

    def sweep(self) -> None:
        collections = self._engine.settled()
        self._due = {key: self._due[key] for key, _ in collections if key in self._due}
        for key, collection in collections:
            life = seconds_to_live(collection.schema.properties.get(PROPERTY, ""))
            if life is None or key[1].startswith(RESERVED_PREFIX):
                continue
            if self._due.get(key, 0) > self._now():
                continue
            self._due[key] = self._now() + max(_SWEEP_INTERVAL_SECONDS, life / _MARKS_IN_A_LIFE)
            try:
                self._sweep(key, life)
            except Exception:  # for example a full disk; the other collections are swept
                logger.exception("%s/%s: expired rows not deleted, will be retried", *key)
                self._due[key] = self._now() + _RETRY_SECONDS

    def _sweep(self, key: Key, life: float) -> None:
        with self._locks.held(lambda: [key]):
            # Read after the wait, because writers served meanwhile are below the new mark.
            now = self._now()
            collection = self._engine.opened(key[1], key[0])
            if collection is None:
                return
            path = Path(collection.data_dir) / _MARKS
            marks = _read(path)
            reached = max((number for at, number in marks if at <= now - life), default=0)
            if reached > collection._manifest.current_seq:
                collection.flush()
            expired = _expired_keys(collection, reached)
            for first in range(0, len(expired), _BATCH_SIZE):
                collection.delete(expired[first : first + _BATCH_SIZE])
            kept = [mark for mark in marks if mark[1] >= reached]
            _write(path, [*kept, (now, collection._next_seq - 1)])


def seconds_to_live(value: Any) -> float | None:
    """Read the property. Returns None if rows do not expire, also for a value that is no number."""
    try:
        seconds = float(int(value))
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def _expired_keys(collection: Any, reached: int) -> list[Any]:
    """Return the keys whose newest row is not above this number. All such rows are in segments."""
    segments, deletions = collection._read_snapshot()
    newest: dict[Any, int] = {}
    for segment in segments:
        for row in np.flatnonzero(np.asarray(segment.seqs) <= reached):
            key, number = segment.pks[row], int(segment.seqs[row])
            newest[key] = max(number, newest.get(key, 0))
    renewed = {key for key, _position in collection._memtable.pk_index_snapshot()}
    for segment in segments if newest else ():
        for row in np.flatnonzero(np.asarray(segment.seqs) > reached):
            renewed.add(segment.pks[row])
    return [
        key
        for key, number in newest.items()
        if key not in renewed
        and not deletions.is_deleted(key, number)
        and not collection._memtable.is_locally_deleted(key)
    ]


def _read(path: Path) -> list[Mark]:
    """Return no marks if the file is missing or invalid, so that its rows are kept from now on."""
    try:
        return [(float(at), int(number)) for at, number in json.loads(path.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _write(path: Path, marks: list[Mark]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(marks))
    new.replace(path)
