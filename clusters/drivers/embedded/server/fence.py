"""Fence against stale attempts of the console: calls of superseded attempts are refused.

A worker checks its lease right before it acts. The worker may be suspended between the two, and
resume after another attempt has finished the work. Only the server can detect this.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

ATTEMPT = "vbase-attempt"
"""Key in a call's metadata. The value is `<task id>-<epoch>`."""


_TASKS_REMEMBERED = 10_000


class StaleAttempt(Exception):
    """A newer attempt of the same task has called."""


class Fence:
    """Newest epoch seen per task. Not persisted: the next call after a restart sets it again."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._lock = threading.Lock()

    def pass_through(self, attempt: str) -> None:
        """Raise StaleAttempt if a newer attempt has called. An empty attempt passes."""
        task, _, number = attempt.rpartition("-")
        if not task:
            return
        with self._lock:
            newest = self._newest.get(task, 0)
            if int(number) < newest:
                raise StaleAttempt(
                    f"Attempt {number} of {task} was superseded by attempt {newest}."
                )
            self._newest[task] = int(number)
            if len(self._newest) > _TASKS_REMEMBERED:
                del self._newest[next(iter(self._newest))]


def attempt_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the attempt of a call, or an empty text."""
    return next((str(value) for key, value in metadata if key == ATTEMPT), "")
