"""Gate between readers and flushes, so that readers see rows while a flush moves them to files.

The engine's readers read the files first and the memtable later, without a lock over both, and miss
the rows that a flush moves in between. Here a flush waits for running readers, and readers wait for
a flush.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clusters.drivers.embedded.server import waiting


class ReadGate:
    """Admits many readers or one flush. New readers wait for a waiting flush."""

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
    """Give the collection a read gate that its flushes pass."""
    gate = ReadGate()
    flush = collection._trigger_flush

    def flush_alone() -> None:
        with waiting.without_permit(), gate.flushing():
            flush()

    collection._trigger_flush = flush_alone
    collection.vbase_read_gate = gate


def gate_of(collection: Any) -> ReadGate:
    gate: ReadGate = collection.vbase_read_gate
    return gate
