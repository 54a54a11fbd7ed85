"""Hybrid timestamps of Milvus: milliseconds since 1970, then an 18 bit counter."""

from __future__ import annotations

import threading
import time

_COUNTER_BITS = 18


class HybridClock:
    """Strictly rising timestamps, also if the machine's clock is set back."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        milliseconds = time.time_ns() // 1_000_000
        with self._lock:
            self._last = max(milliseconds << _COUNTER_BITS, self._last + 1)
            return self._last
