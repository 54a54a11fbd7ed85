"""Proof that a store does what archives rely on, and its throughput.

The objects are below `_check/`, which no archive uses, and are deleted at the end. Each run also
deletes what killed runs have left.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from backups.stores.base import CHECKS, ObjectExists, Store, StoreError, put

MIB = 1024 * 1024
RACING_WRITERS = 4
LEFTOVER_AGE_SECONDS = 3600


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one check. The store lacks what `name` says if there is a problem."""

    name: str
    problem: str = ""
    is_transient: bool = False
    """True if the store did not answer, so that nothing is known about it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Throughput:
    written_per_second: float
    read_per_second: float

    def __str__(self) -> str:
        written, read = self.written_per_second / 1e6, self.read_per_second / 1e6
        return f"{written:.1f} MB/s written, {read:.1f} MB/s read"


def prove(store: Store) -> Iterator[Check]:
    """Yield the result of each check. Ends after the first one if nothing can be written."""
    proof = _Proof(store)
    steps: dict[str, Callable[[], str]] = {
        "write an object": proof.write,
        "read it back": proof.read,
        "read a range of it": proof.read_range,
        "list it right after it was written": proof.list_it,
        "tell that an object does not exist": proof.miss,
        f"let one of {RACING_WRITERS} writers create an object, and refuse the others": proof.race,
        "refuse an object whose SHA-256 is wrong": proof.alter,
        "delete objects": proof.delete,
    }
    for name, step in steps.items():
        try:
            problem, is_transient = step(), False
        except StoreError as error:
            problem, is_transient = str(error), not error.permanent
        yield Check(name=name, problem=problem, is_transient=is_transient)
        if problem and step == proof.write:
            return
    proof.delete_leftovers()


def measure(store: Store, *, size: int) -> Throughput:
    """Write and read one object of `size` bytes."""
    key, data = _new_key(), secrets.token_bytes(size)
    begun = time.monotonic()
    put(store, key, data)
    written = time.monotonic()
    try:
        store.read(key, limit=size)
        read = time.monotonic()
    finally:
        store.delete(key)
    return Throughput(
        written_per_second=size / (written - begun), read_per_second=size / (read - written)
    )


class _Proof:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.directory = _new_key()
        self.key = f"{self.directory}/object"
        self.data = secrets.token_bytes(MIB)

    def write(self) -> str:
        put(self.store, self.key, self.data)
        return ""

    def read(self) -> str:
        data = self.store.read(self.key, limit=2 * len(self.data))
        return "" if data == self.data else "The store returned other bytes than were written."

    def read_range(self) -> str:
        with self.store.open(self.key) as stream:
            stream.seek(MIB // 2)
            data = stream.read(1000)
        is_right = data == self.data[MIB // 2 :][:1000]
        return "" if is_right else "The store returned other bytes than the range contains."

    def list_it(self) -> str:
        sizes = {entry.key: entry.size for entry in self.store.list(self.directory)}
        if sizes == {self.key: len(self.data)}:
            return ""
        return "The listing lacks a file that was just written. It must be complete at once."

    def miss(self) -> str:
        if self.store.size(f"{self.directory}/missing") is None:
            return ""
        return "The store reports an object that was never written."

    def race(self) -> str:
        """Create one object from several threads, with bodies that do not fit into one packet."""
        key = f"{self.directory}/raced"
        outcomes: list[bytes | StoreError] = []

        def create(data: bytes) -> None:
            try:
                put(self.store, key, data)
                outcomes.append(data)
            except ObjectExists:
                pass
            except StoreError as error:
                outcomes.append(error)

        bodies = [bytes([number]) * MIB for number in range(RACING_WRITERS)]
        writers = [threading.Thread(target=create, args=(body,)) for body in bodies]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        return self._judged(key, outcomes)

    def _judged(self, key: str, outcomes: list[bytes | StoreError]) -> str:
        if failed := [outcome for outcome in outcomes if isinstance(outcome, StoreError)]:
            raise failed[0]
        stored = self.store.read(key, limit=2 * MIB)
        if outcomes == [stored]:
            return ""
        return (
            f"{len(outcomes)} writers were told that they created the object. The store must "
            "support conditional writes (If-None-Match: *)."
        )

    def alter(self) -> str:
        return self.store.checksum_problem(f"{self.directory}/altered")

    def delete(self) -> str:
        self.store.delete(self.key)
        if self.store.size(self.key) is not None:
            return "A deleted object is still there."
        self.store.delete_prefix(self.directory)
        left = [entry.key for entry in self.store.list(self.directory)]
        return f"{len(left)} deleted objects are still listed." if left else ""

    def delete_leftovers(self) -> None:
        """Delete the objects of killed runs, whose names contain the time of their start."""
        oldest = time.time() - LEFTOVER_AGE_SECONDS
        names = {entry.key.split("/")[1] for entry in self.store.list(CHECKS)}
        for name in names:
            started = name.partition("-")[0]
            if started.isdigit() and int(started) < oldest:
                self.store.delete_prefix(f"{CHECKS}/{name}")


def _new_key() -> str:
    return f"{CHECKS}/{int(time.time())}-{secrets.token_hex(8)}"
