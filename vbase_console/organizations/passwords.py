"""Password hashing that leaves most threads and cores to other requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from vbase_console.core.errors import ResourceExhausted

MAX_WAITING = 3
"""Threads per process that hash or wait for the hash lock. Five of eight threads stay free."""
WAIT_SECONDS = 3.0
BUSY = "Too many sign-ins at the moment. Try again in a few seconds."
RETRY_AFTER_SECONDS = 3


class HashingSlots:
    def __init__(self) -> None:
        self._admitted = threading.BoundedSemaphore(MAX_WAITING)
        self._hashing = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises ResourceExhausted if the slot is not free in time."""
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._hashing.acquire(timeout=WAIT_SECONDS):
                raise _busy()
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._admitted.release()


slots = HashingSlots()


class BoundedPBKDF2PasswordHasher(PBKDF2PasswordHasher):
    """Django's default hasher. A hash takes about half a second of a core, for wrong passwords and
    unknown accounts as well, so that sign-ins would otherwise keep all threads from other requests.
    """

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with slots.one():
            return super().encode(password, salt, iterations)


def _busy() -> ResourceExhausted:
    error = ResourceExhausted(BUSY)
    error.retry_after_seconds = RETRY_AFTER_SECONDS
    return error
