"""Throttle repeated log messages: log the same error for the same key at most once per interval."""

from __future__ import annotations

import time
from collections.abc import Callable


class LogThrottle:
    def __init__(self, *, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = 60 * minutes, clock
        self._logged: dict[str, tuple[str, float]] = {}

    def should_log(self, key: str, error: Exception) -> bool:
        """Return False if the same error was logged for this key within the interval."""
        reason, now = f"{type(error).__name__}: {error}", self._clock()
        last_reason, logged_at = self._logged.get(key, ("", now))
        if last_reason == reason and now - logged_at < self._seconds:
            return False
        self._logged[key] = reason, now
        return True

    def reset(self, key: str) -> None:
        """Log the next error for this key, because an attempt has succeeded since the last one."""
        self._logged.pop(key, None)
