"""The console's attempts, as this server has seen them: what an older one asks for is refused.

A worker asks whether it still may act right before it acts. Between the two it may stand still for
as long as it likes, and wake up when another has finished its work; only the server can tell then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

ATTEMPT = "vbase-attempt"
"""In a call's metadata: which task is at work, and in which attempt: `<task id>-<number>`."""


_TASKS_REMEMBERED = 10_000


class StaleAttempt(Exception):
    """A newer attempt at the same task has been here."""


class Fence:
    """The newest attempt of each task. A restart forgets them; whoever comes next tells again."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._lock = threading.Lock()

    def pass_through(self, attempt: str) -> None:
        """Raise `Overtaken` where a newer one was here; whoever names none is let through."""
        task, _, number = attempt.rpartition("-")
        if not task:
            return
        with self._lock:
            newest = self._newest.get(task, 0)
            if int(number) < newest:
                raise StaleAttempt(
                    f"Attempt {number} of {task} is over: attempt {newest} is at it."
                )
            self._newest[task] = int(number)
            if len(self._newest) > _TASKS_REMEMBERED:
                del self._newest[next(iter(self._newest))]


def attempt_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Empty where the caller names none."""
    return next((str(value) for key, value in metadata if key == ATTEMPT), "")
