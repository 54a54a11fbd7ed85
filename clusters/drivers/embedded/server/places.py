"""Places for calls, shared so that waiting calls of one collection leave places to others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from clusters.drivers.embedded.server.request_threads import RequestThreads

_MAX_REQUEST_BYTES = 512 * 1024 * 1024
_SPARE_THREADS = 32
"""Threads for calls that are refused."""


class Crowded(Exception):
    """The calls of the collection occupy its share of the places."""


class Places:
    """Shares of a number of places and of bytes.

    A group is admitted while it occupies less than is free. A crowded group therefore gets half,
    and each further crowded group half of the rest. Nine crowded groups leave no place to others.
    A group occupies at most as many bytes as stay free, because one request can need a whole share.
    """

    def __init__(self, count: int, request_bytes: int = _MAX_REQUEST_BYTES) -> None:
        self._free = count
        self._free_bytes = request_bytes
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()
        self._taken_bytes: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, group: Hashable, request_bytes: int) -> Iterator[None]:
        """Occupy a place until the call is answered. Raises Crowded if the share is used up."""
        with self._lock:
            would_take = self._taken_bytes[group] + request_bytes
            would_leave = self._free_bytes - request_bytes
            if self._taken[group] >= self._free or would_take > would_leave:
                raise Crowded
            self._move(group, 1, request_bytes)
        try:
            yield
        finally:
            with self._lock:
                self._move(group, -1, -request_bytes)

    def _move(self, group: Hashable, calls: int, request_bytes: int) -> None:
        self._free -= calls
        self._free_bytes -= request_bytes
        self._taken[group] += calls
        self._taken_bytes[group] += request_bytes
        if not self._taken[group]:
            del self._taken[group], self._taken_bytes[group]


class Pool:
    """Threads of one class of callers, and the places in it."""

    def __init__(self, name: str, places: int) -> None:
        self.places = Places(places)
        self.threads = RequestThreads(places + _SPARE_THREADS, thread_name_prefix=name)
