"""Background work of a collection, on a thread that exists only while work is queued.

The engine keeps a thread for each collection that ever had background work, so that some thousand
collections exhaust the threads of a process and the memory for their stacks.
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
    """The part of `ThreadPoolExecutor(max_workers=1)` that collections use."""

    def __init__(self, max_workers: int = 1, thread_name_prefix: str = "bg") -> None:
        self._name = thread_name_prefix
        self._waiting: deque[Work] = deque()
        self._is_running = False
        self._is_closed = False
        self._change = threading.Condition()

    def submit(self, action: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._change:
            if self._is_closed:
                raise RuntimeError("The collection is closed.")
            self._waiting.append((future, action))
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
        """Start a thread. If none can be started, execute the work in this thread."""
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        while work := self._next():
            future, action = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(action())
            except BaseException as error:  # raised where the future is awaited
                future.set_exception(error)

    def _next(self) -> Work | None:
        with self._change:
            if self._waiting:
                return self._waiting.popleft()
            self._is_running = False
            self._change.notify_all()
            return None


def install() -> None:
    """Replace the executor of all collections that are opened from now on. Idempotent."""
    engine.ThreadPoolExecutor = SerialExecutor
