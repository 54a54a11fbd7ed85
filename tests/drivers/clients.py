"""A client of the embedded server's queues, which a test lets leave."""

from __future__ import annotations

from collections.abc import Callable


class Client:
    """Implements `clusters.drivers.embedded.server.waiting.Caller`."""

    def __init__(self) -> None:
        self._has_left = False
        self._callbacks: list[Callable[[], None]] = []

    def is_active(self) -> bool:
        return not self._has_left

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(callback)
        return not self._has_left

    def leave(self) -> None:
        self._has_left = True
        for callback in self._callbacks:
            callback()


class FailingClient(Client):
    """A client whose state cannot be read."""

    def is_active(self) -> bool:
        raise ZeroDivisionError
