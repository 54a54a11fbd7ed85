"""One writer at a time for each collection.

The engine has no write lock of its own: without this one, four writers lose acknowledged rows at
the first flush.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

Key = tuple[str, str]
"""Database and collection, both by their real names."""


class CollectionLocks:
    """Locks by name. `enabled=False` is for the one test that shows what is lost without them."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._making = threading.Lock()
        self._locks: dict[Key, threading.RLock] = {}

    @contextmanager
    def held(self, resolve: Callable[[], Collection[Key]]) -> Iterator[Collection[Key]]:
        """Hold the locks of all the collections that `resolve` names.

        They are taken in one order everywhere, so that no two callers wait for each other, and
        names are resolved again once they are held: an alias may have moved while we waited.
        """
        while True:
            with ExitStack() as stack:
                keys = resolve()
                self._enter(stack, keys)
                if set(resolve()) == set(keys):
                    yield keys
                    return

    def _enter(self, stack: ExitStack, keys: Collection[Key]) -> None:
        for key in sorted(set(keys)):
            if self._enabled:
                stack.enter_context(self._lock(key))

    def _lock(self, key: Key) -> threading.RLock:
        with self._making:
            return self._locks.setdefault(key, threading.RLock())
