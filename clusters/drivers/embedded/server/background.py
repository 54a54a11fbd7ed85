"""A collection's background work, on a thread that lives only while there is some.

The engine keeps one thread for each collection that ever had something to do in the background, so
that some thousand collections use up the threads, and the memory for their stacks, of a process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from milvus_lite.engine import collection as engine

Work = tuple["Future[Any]", Callable[[], Any]]


class SerialExecutor:
    """As much of `ThreadPoolExecutor(max_workers=1)` as a collection uses."""

    def __init__(self, max_workers: int = 1, thread_name_prefix: str = "bg") -> None:
        self._name = thread_name_prefix
        self._waiting: deque[Work] = deque()
        self._is_running = False
        self._is_closed = False
        self._change = threading.Condition()

    def submit(self, do: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._change:
            if self._is_closed:
                raise RuntimeError("The collection is closed.")
            self._waiting.append((future, do))
            if self._is_running:
                return future
            self._is_running = True
        self._begin()
        return future

    def shutdown(self, wait: bool = True) -> None:
        with self._change:
            self._is_closed = True
            if wait:
                self._change.wait_for(lambda: not self._is_running)

    def _begin(self) -> None:
        """Where no thread can be had, the work is done at once rather than not at all."""
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        while work := self._next():
            future, do = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(do())
            except BaseException as error:  # the one who waits for the future is told
                future.set_exception(error)

    def _next(self) -> Work | None:
        with self._change:
            if self._waiting:
                return self._waiting.popleft()
            self._is_running = False
            self._change.notify_all()
            return None


def install() -> None:
    """For every collection that is opened from now on; a second time changes nothing."""
    engine.ThreadPoolExecutor = SerialExecutor
