"""Requests to stop: Ctrl-C, SIGTERM, a closed terminal."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType

SECOND_SIGNAL_AFTER_SECONDS = 1.0
_SIGINT_BIT = 1 << (signal.SIGINT - 1)


class StopRequest:
    """Stop requested by a signal. A second signal, at least a second later, forces the stop.

    The delay ignores the copy of a signal that `make` forwards.
    """

    def __init__(self) -> None:
        self.hurried = False
        self._requested_at: float | None = None
        self._make = os.getppid() if _status_of(os.getppid()).get("Name") == "make" else None

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    @property
    def requested(self) -> bool:
        if self._requested_at is None and self._make is not None and _is_interrupted(self._make):
            self._requested_at = time.monotonic()
        return self._requested_at is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._requested_at is None:
            self._requested_at = now
        elif now - self._requested_at > SECOND_SIGNAL_AFTER_SECONDS:
            self.hurried = True


def _is_interrupted(make: int) -> bool:
    """Return True if only `make` received SIGINT. It then waits with the signal blocked, which the
    kernel shows, and forwards nothing.
    """
    return bool(int(_status_of(make).get("SigBlk", "0"), 16) & _SIGINT_BIT)


def _status_of(pid: int) -> dict[str, str]:
    """Return the kernel's fields of a process; none if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
