"""One writer at a time for each collection.

The engine has no write lock. Without this one, four writers lose acknowledged rows at the first
flush.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from clusters.drivers.embedded.server import waiting

Key = tuple[str, str]
"""Database and collection, both by their real names."""


class _LockClaim:
    """Request of a call for the locks of some collections."""

    def __init__(self, keys: frozenset[Key], is_build: bool, lock: threading.Lock) -> None:
        self.keys = keys
        self.is_build = is_build
        self.is_granted = False
        self.changed = threading.Condition(lock)


class CollectionLocks:
    """Locks by name. `enabled=False` is for the one test that shows the rows lost without locks.

    Claims are granted in the order of arrival, each for all of its collections at once. A claim
    that waits for an index build lets later claims pass, so that writers of a collection do not
    wait for the build of another one. Further builds do not pass, so that the claim is granted in
    the end.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._lock = threading.Lock()
        self._held: dict[Key, _LockClaim] = {}
        self._waiting: list[_LockClaim] = []
        self._thread = threading.local()

    @contextmanager
    def held(
        self, resolve: Callable[[], Collection[Key]], *, is_build: bool = False
    ) -> Iterator[Collection[Key]]:
        """Hold the locks of all collections that `resolve` returns.

        Names are resolved again under the locks, because an alias may have changed meanwhile. A
        thread may hold a lock more than once. Raises CallerGone.
        """
        while True:
            keys = resolve()
            with self._claimed(frozenset(keys), is_build):
                if set(resolve()) == set(keys):
                    yield keys
                    return

    @contextmanager
    def _claimed(self, keys: frozenset[Key], is_build: bool) -> Iterator[None]:
        before: frozenset[Key] = getattr(self._thread, "keys", frozenset())
        missing = keys - before
        if not missing or not self._enabled:
            yield
            return
        claim = _LockClaim(missing, is_build, self._lock)
        self._wait(claim)
        self._thread.keys = before | missing
        try:
            yield
        finally:
            self._thread.keys = before
            with self._lock:
                self._free(claim)
                self._grant()

    def _wait(self, claim: _LockClaim) -> None:
        with self._lock:
            self._waiting.append(claim)
            self._grant()
            try:
                waiting.wait_for(claim.changed, lambda: claim.is_granted)
            except BaseException:
                if claim.is_granted:
                    self._free(claim)
                else:
                    self._waiting.remove(claim)
                self._grant()
                raise

    def _free(self, claim: _LockClaim) -> None:
        for key in claim.keys:
            del self._held[key]

    def _grant(self) -> None:
        reserved: set[Key] = set()
        reserved_for_builds: set[Key] = set()
        for claim in list(self._waiting):
            taken = reserved | reserved_for_builds if claim.is_build else reserved
            if claim.keys.isdisjoint(self._held) and claim.keys.isdisjoint(taken):
                self._waiting.remove(claim)
                self._held.update(dict.fromkeys(claim.keys, claim))
                claim.is_granted = True
                claim.changed.notify()
            elif any(key in self._held and self._held[key].is_build for key in claim.keys):
                reserved_for_builds |= claim.keys
            else:
                reserved |= claim.keys


class YieldingLock:
    """Reentrant lock. Waiting threads return their permits meanwhile."""

    def __init__(self, lock: Any = None) -> None:
        self._lock = threading.RLock() if lock is None else lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            with waiting.without_permit():
                self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def furnish(collection: Any) -> None:
    """Let calls that wait for a flush or compaction of the collection keep no permit."""
    collection._maintenance_lock = YieldingLock(collection._maintenance_lock)
