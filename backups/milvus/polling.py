"""Polling of background work of a server, with pauses that grow."""

from __future__ import annotations

import time
from collections.abc import Iterator

FIRST_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.2


def pauses() -> Iterator[float]:
    """Yield the seconds before each poll, doubled each time up to `MAX_PAUSE_SECONDS`."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield min(pause, MAX_PAUSE_SECONDS)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def polls() -> Iterator[None]:
    """Yield immediately and after each pause, without end."""
    for pause in pauses():
        yield
        time.sleep(pause)
