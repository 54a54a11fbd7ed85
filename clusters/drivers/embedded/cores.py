"""Compute units as CPU cores: where the process's threads may run, changed while they do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TASKS = Path("/proc/self/task")


class Cores:
    """The share of the machine that this process may use.

    Made before anything narrows the affinity, so that it knows all the cores there are.
    """

    def __init__(self, *, first: int = 0) -> None:
        available = sorted(os.sched_getaffinity(0))
        shift = first % len(available)
        self._available = available[shift:] + available[:shift]

    @property
    def most(self) -> int:
        return len(self._available)

    def use(self, wanted: int) -> int:
        """Move every thread onto that many cores, at most what there is; returns how many."""
        chosen = set(self._available[: max(1, wanted)])
        # A thread started meanwhile takes over its parent's old set, so look until none is new.
        moved: set[str] = set()
        while remaining := set(os.listdir(_TASKS)) - moved:
            for task in remaining:
                _move(int(task), chosen)
            moved |= remaining
        return len(chosen)


def _move(thread_id: int, cores: set[int]) -> None:
    try:
        os.sched_setaffinity(thread_id, cores)
    except ProcessLookupError:
        return  # the thread ended meanwhile


class Permits:
    """How many Milvus calls may work at the same time; the number changes while they do."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0
        self._changed = threading.Condition()

    def resize(self, count: int) -> None:
        with self._changed:
            self._count = count
            self._changed.notify_all()

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._taken < self._count)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()
