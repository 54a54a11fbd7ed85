"""Compute units as CPU cores: affinity of all threads, and permits of calls."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters.drivers.embedded.server import waiting

_TASKS = Path("/proc/self/task")
_Wait = Callable[[threading.Condition, Callable[[], bool]], object]


class Cores:
    """CPU cores of this process.

    Create the object before the affinity is restricted, because it reads the available cores.
    """

    def __init__(self, *, first: int = 0) -> None:
        available = sorted(os.sched_getaffinity(0))
        shift = first % len(available)
        self._available = available[shift:] + available[:shift]

    @property
    def most(self) -> int:
        return len(self._available)

    def use(self, count: int) -> int:
        """Move every thread onto this number of cores, at most all. Returns the number."""
        cores = set(self._available[: max(1, count)])
        # A new thread inherits the old affinity of its parent, so repeat until no thread is new.
        moved: set[str] = set()
        while remaining := set(os.listdir(_TASKS)) - moved:
            for task in remaining:
                _move(int(task), cores)
            moved |= remaining
        return len(cores)


def _move(thread_id: int, cores: set[int]) -> None:
    try:
        os.sched_setaffinity(thread_id, cores)
    except ProcessLookupError:
        return  # the thread ended meanwhile


class _PermitClaim:
    """Request of a call for a permit."""

    def __init__(self, lock: threading.Lock) -> None:
        self.is_granted = False
        self.changed = threading.Condition(lock)


class CallPermits:
    """Limit of the Milvus calls that compute at the same time.

    Groups of calls are served in turn, so that a crowded group delays another by one call.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, deque[_PermitClaim]] = {}

    def resize(self, count: int) -> None:
        with self._lock:
            self._count = count
            self._grant()

    @contextmanager
    def one(self, group: Hashable = None) -> Iterator[None]:
        """Compute with a permit. Raises CallerGone if the client leaves before it is granted."""
        self._take(group, waiting.wait_for)
        with waiting.with_permit(_Permit(self, group)):
            yield

    def take_again(self, group: Hashable) -> None:
        """Wait for a permit, also if the client leaves, because the call is being executed."""
        self._take(group, lambda changed, is_granted: changed.wait_for(is_granted))

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1
            self._grant()

    def _take(self, group: Hashable, wait: _Wait) -> None:
        with self._lock:
            claim = _PermitClaim(self._lock)
            self._waiting.setdefault(group, deque()).append(claim)
            self._grant()
            try:
                wait(claim.changed, lambda: claim.is_granted)
            except BaseException:
                if claim.is_granted:
                    self._taken -= 1
                    self._grant()
                else:
                    self._waiting[group].remove(claim)
                    if not self._waiting[group]:
                        del self._waiting[group]
                raise

    def _grant(self) -> None:
        while self._waiting and self._taken < self._count:
            group = next(iter(self._waiting))
            claims = self._waiting.pop(group)
            claim = claims.popleft()
            if claims:
                self._waiting[group] = claims
            claim.is_granted = True
            claim.changed.notify()
            self._taken += 1


@dataclasses.dataclass(frozen=True)
class _Permit:
    permits: CallPermits
    group: Hashable

    def give_back(self) -> None:
        self.permits.give_back()

    def take_again(self) -> None:
        self.permits.take_again(self.group)
