"""Count rejected API keys per client address, and log their number once per interval.

Each web process counts in memory, so that a client without a key causes no database write. With
several processes the effective limit is multiplied by their number. Valid keys are not counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
MAX_ADDRESSES = 10_000
"""Addresses counted per interval, to bound memory. Further addresses only add to the total."""
LOGGED_ADDRESSES = 5

StartTimer = Callable[[float, Callable[[], None]], None]


def start_timer(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()


class RejectedKeys:
    """Rejected keys of one interval. The first rejected key starts it, a timer ends it."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, timer: StartTimer = start_timer
    ) -> None:
        self._clock, self._timer = clock, timer
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._total = 0
        self._ends_at = 0.0

    def add(self, address: str | None) -> float | None:
        """Count a rejected key. Returns the seconds to wait if the address exceeded its limit."""
        limit, name = settings.WRONG_KEYS_PER_MINUTE, address or "unknown address"
        with self._lock:
            if not self._total:
                self._ends_at = self._clock() + INTERVAL_SECONDS
                self._timer(INTERVAL_SECONDS, self.end_interval)
            self._total += 1
            if name not in self._counts and len(self._counts) >= MAX_ADDRESSES:
                return None
            count = self._counts[name] = self._counts.get(name, 0) + 1
            seconds_left = max(self._ends_at - self._clock(), 1.0)
        if count == limit + 1:
            logger.warning("%s: more than %s wrong API keys, answering 429", name, limit)
        return seconds_left if count > limit else None

    def end_interval(self) -> None:
        with self._lock:
            total, counts = self._total, self._counts
            self._total, self._counts = 0, {}
        most_frequent = sorted(counts.items(), key=lambda pair: -pair[1])[:LOGGED_ADDRESSES]
        logger.warning(
            "wrong API keys: %s in %.0f s from %s addresses, most from %s",
            total,
            INTERVAL_SECONDS,
            len(counts),
            ", ".join(f"{address} ({count})" for address, count in most_frequent),
        )


rejected_keys = RejectedKeys()
