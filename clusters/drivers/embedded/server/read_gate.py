"""Readers see every row also while a flush moves rows from memory to files.

The engine's readers look at the files first and at the memory later, without a lock over both: rows
that a flush moves in between were seen in neither. So a flush waits for the readers that run, and
readers wait for the flush.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clusters.drivers.embedded.server import waiting


class ReadGate:
    """Many readers or one flush; a flush that waits lets no new reader in before it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._flushes = 0
        self._flushing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._changed:
            waiting.wait_for(self._changed, lambda: not self._flushes)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def flushing(self) -> Iterator[None]:
        with self._changed:
            self._flushes += 1
            self._changed.wait_for(lambda: not self._readers and not self._flushing)
            self._flushing = True
        try:
            yield
        finally:
            with self._changed:
                self._flushing = False
                self._flushes -= 1
                self._changed.notify_all()


def furnish(collection: Any) -> None:
    """Give the collection a reading room that its flushes respect."""
    room = ReadGate()
    flush = collection._trigger_flush

    def flush_alone() -> None:
        with waiting.without_permit(), room.flushing():
            flush()

    collection._trigger_flush = flush_alone
    collection.vbase_reading_room = room


def room_of(collection: Any) -> ReadGate:
    room: ReadGate = collection.vbase_reading_room
    return room
