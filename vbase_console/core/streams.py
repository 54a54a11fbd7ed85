"""Places for streamed responses, which hold a thread until their client has read them."""

from __future__ import annotations

import threading

MAX_STREAMS = 6
"""Streamed responses of one web process. Two of its eight threads always remain."""

_places = threading.BoundedSemaphore(MAX_STREAMS)


def take_stream() -> bool:
    """Take a place without waiting. Returns False if all are in use."""
    return _places.acquire(blocking=False)


def return_stream() -> None:
    _places.release()
