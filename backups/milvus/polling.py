"""Waits for what a server does by itself: short ones end soon, long ones ask seldom."""

from __future__ import annotations

import time
from collections.abc import Iterator

FIRST_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.2


def pauses() -> Iterator[float]:
    """Seconds to wait before the next look, doubled each time up to `MAX_PAUSE_SECONDS`."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield min(pause, MAX_PAUSE_SECONDS)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def looks() -> Iterator[None]:
    """Yield at once and again after each pause; the caller leaves when it has seen the end."""
    for pause in pauses():
        yield
        time.sleep(pause)
