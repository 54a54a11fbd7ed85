"""A snapshot is one instant of all its collections during concurrent writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymilvus import MilvusClient

from tests.drivers.launched import Launched, wait_for
from tests.milvus.rooms import Room, keys, row, unused_name

WINDOW = 5


class Writer:
    """Appends to the left, then to the right, and deletes what is WINDOW older, in that order."""

    def __init__(self, client: MilvusClient, left: str, right: str) -> None:
        self.following = 0
        self._client, self._left, self._right = client, left, right
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _write(self) -> None:
        while not self._stopped.is_set():
            for name in (self._left, self._right):
                self._client.insert(name, [row(self.following)])
            for name in (self._left, self._right):
                self._client.delete(name, ids=[self.following - WINDOW])
            self.following += 1


def states(number: int) -> Iterator[tuple[set[int], set[int]]]:
    """All instants while one number is written."""
    before, full = set(range(number - WINDOW, number)), set(range(number - WINDOW, number + 1))
    after = set(range(number - WINDOW + 1, number + 1))
    yield from [(before, before), (full, before), (full, full), (after, full), (after, after)]


def is_one_instant(left: set[int], right: set[int]) -> bool:
    last = max(left | right, default=0)
    known = [(a - _negative(a), b - _negative(b)) for a, b in states(last)]
    return (left, right) in known


def _negative(numbers: set[int]) -> set[int]:
    return {number for number in numbers if number < 0}


def test_appends_and_deletes_in_a_known_order_are_cut_at_one_instant(
    cluster: Launched, room: Room
) -> None:
    left, right = room.make(), room.make()
    writer = Writer(cluster.client(), left, right)
    with writer.running():
        for _ in range(8):
            wait_for(lambda at=writer.following: writer.following > at + 2)
            first, second = (set(keys(scan.batches())) for scan in room.pin(left, right))
            assert is_one_instant(first, second), (first, second)


def test_a_later_attempt_finds_what_was_pinned(room: Room) -> None:
    room.tenant.insert(collection := room.make(), [row(1)])
    taken = room.snapshots.take(name := unused_name(), database="default", collections=[collection])
    assert room.snapshots.find(name) == taken
    assert name in room.snapshots.names()
    room.snapshots.drop(name)
    room.snapshots.drop(name)
    assert room.snapshots.find(name) is None
