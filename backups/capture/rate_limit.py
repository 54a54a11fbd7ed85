"""Rate limit of one job, in bytes per second and direction (docs/backup-streaming.md)."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings

from vbase_console.tasks.attempts import Attempt

_PAUSE_SECONDS = 1.0
"""Maximum time between two checks of the lease and of a cancel request."""


class TokenBucket:
    """Bytes that may pass now, at most those of one second. More bytes leave a debt."""

    def __init__(self, bytes_per_second: int, now: float) -> None:
        self._rate = bytes_per_second
        self._tokens = float(bytes_per_second)
        self._filled_at = now

    def take(self, count: int, now: float) -> float:
        """Take `count` bytes. Returns the seconds until the debt is paid."""
        filled = self._tokens + (now - self._filled_at) * self._rate
        self._tokens = min(self._rate, filled) - count
        self._filled_at = now
        return max(0.0, -self._tokens / self._rate)


class RateLimit:
    """Limit of one job. Each method waits after its bytes, so that the next ones are on time.

    `check` is called between pauses and ends the wait with an exception.
    """

    def __init__(
        self,
        bytes_per_second: int,
        check: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A limit of 0 bytes per second limits nothing."""
        self._check, self._clock, self._sleep = check, clock, sleep
        self._buckets = {
            direction: TokenBucket(bytes_per_second, clock())
            for direction in ("read", "inserted", "stored")
            if bytes_per_second
        }

    def read(self, count: int) -> None:
        """Account for bytes of rows that were read from a cluster."""
        self._pass("read", count)

    def inserted(self, count: int) -> None:
        """Account for bytes of rows that were inserted into a cluster."""
        self._pass("inserted", count)

    def stored(self, count: int) -> None:
        """Account for bytes that were written to the backup store."""
        self._pass("stored", count)

    def _pass(self, direction: str, count: int) -> None:
        if direction not in self._buckets:
            return
        remaining = self._buckets[direction].take(count, self._clock())
        while remaining > 0:
            self._check()
            pause = min(remaining, _PAUSE_SECONDS)
            self._sleep(pause)
            remaining -= pause


def bytes_per_second() -> int | None:
    """Return the limit, or None if there is none."""
    return settings.BACKUP_MAX_BYTES_PER_SECOND or None


def rate_limit_of(attempt: Attempt) -> RateLimit:
    """Return a new limit of the configured rate. A wait ends when the attempt must end."""
    return RateLimit(settings.BACKUP_MAX_BYTES_PER_SECOND, attempt.safe_point_now)
