"""What is tried again every few seconds, and fails each time for the same reason, is said once in a
while: a log that repeats itself hides everything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class LogThrottle:
    """Remembers, for each thing, what went wrong with it last and when that was said."""

    def __init__(self, *, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = 60 * minutes, clock
        self._said: dict[str, tuple[str, float]] = {}

    def should_log(self, about: str, error: Exception) -> bool:
        """Whether it was not said yet, or not for long."""
        reason, now = f"{type(error).__name__}: {error}", self._clock()
        said, at = self._said.get(about, ("", now))
        if said == reason and now - at < self._seconds:
            return False
        self._said[about] = reason, now
        return True

    def reset(self, about: str) -> None:
        """It went well: the next time is news."""
        self._said.pop(about, None)
