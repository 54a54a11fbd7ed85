"""Turns of calls at the threads: bounded, and shared fairly among keys.

A key occupies at most half of the threads, so that neither slow calls of one tenant nor calls
without a key delay all others. All methods are called in the event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 8
THREADS_PER_KEY = THREADS // 2
MAX_CALLS = 2000
"""Calls that are executed or wait."""
MAX_CALLS_PER_KEY = MAX_CALLS // 2
MAX_BYTES = 64 * 1024 * 1024
"""Size of the messages of these calls."""


class TooManyCalls(Exception):
    """The calls of the key, or of all keys, have reached their limit."""


@dataclasses.dataclass
class Share:
    """Calls of one key."""

    threads: asyncio.Semaphore
    calls: int = 0


class Turns:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="call")
        self._shares: dict[str, Share] = {}
        self._calls = self._bytes = 0

    async def run(self, key: str, size: int, function: Callable[[], T]) -> T:
        """Execute the function of a call in a thread. `size` is that of its message. Raises
        TooManyCalls.

        A cancelled call that waits is not executed. One that is being executed keeps its turn until
        the function returns.
        """
        share = self._shares.get(key) or Share(asyncio.Semaphore(THREADS_PER_KEY))
        is_full = self._calls >= MAX_CALLS or self._bytes + size > MAX_BYTES
        if is_full or share.calls >= MAX_CALLS_PER_KEY:
            raise TooManyCalls
        self._shares[key] = share
        self._calls, self._bytes, share.calls = self._calls + 1, self._bytes + size, share.calls + 1
        try:
            await share.threads.acquire()
        except asyncio.CancelledError:
            self._forget(key, share, size)
            raise
        loop = asyncio.get_running_loop()
        future = self._threads.submit(function)

        def release() -> None:
            share.threads.release()
            self._forget(key, share, size)

        def ended(_: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(release)

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Execute no further call. Running ones are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: str, share: Share, size: int) -> None:
        self._calls, self._bytes, share.calls = self._calls - 1, self._bytes - size, share.calls - 1
        if not share.calls:
            self._shares.pop(key, None)
