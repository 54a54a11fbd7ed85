from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from clusters.drivers.embedded.locking import CollectionLocks, Key

A: Key = ("default", "a")
B: Key = ("default", "b")


class Watched(CollectionLocks):
    """It remembers in which order its locks were taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Key] = []

    def _lock(self, key: Key) -> AbstractContextManager[bool]:  # type: ignore[override]
        self.taken.append(key)
        return super()._lock(key)


@pytest.mark.parametrize("named", [(A, B), (B, A), (B, A, B)])
def test_locks_are_taken_in_one_order_whoever_names_them(named: tuple[Key, ...]) -> None:
    """Two who took them in two orders would wait for each other for ever."""
    locks = Watched()
    with locks.held(lambda: named):
        assert locks.taken == [A, B]
