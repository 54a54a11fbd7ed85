"""Contract of a backup store: named objects that are written once and read many times.

A store takes and returns values, and imports no model, request or task. One contract suite
(`tests/contracts/test_backup_store.py`) runs against every store.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

Guard = Callable[[], None]
"""Raises if the attempt has lost its lease. Called directly before every effect."""


def unguarded() -> None:
    """Guard of callers without concurrent attempts."""


CHECKS = "_check"
"""Prefix of the objects of `backups.stores.proof`, which belong to no archive."""

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)


class StoreError(Exception):
    """A store operation failed. The message names the operation, the problem and the remedy.

    A retry does not help if `permanent` is true.
    """

    permanent = False


class ObjectMissing(StoreError):
    """The store has no object with this key."""

    permanent = True


class ObjectExists(StoreError):
    """The store has an object with this key. Objects are never overwritten."""

    permanent = True


class KeyRefused(StoreError):
    permanent = True


class StoreFull(StoreError):
    """The storage is full. Incomplete objects are removed."""


class EntryKind(enum.StrEnum):
    OBJECT = "object"
    LINK = "symbolic link"
    EMPTY_DIRECTORY = "empty directory"
    SPECIAL = "special file"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """One entry of a store. The key of a foreign file may contain any character of a file name."""

    key: str
    size: int
    kind: EntryKind = EntryKind.OBJECT


class StagedObject(Protocol):
    """An invisible object, discarded at the end of its context unless it is published."""

    def write(self, data: bytes | memoryview) -> int: ...

    def finish(self) -> None:
        """Do the slow part of publishing that does not need the key. Optional."""

    def publish(self, key: str, guard: Guard = unguarded, *, sha256: str = "") -> None:
        """Make the complete object visible and durable, or raise `ObjectExists`.

        A store that does not publish at once calls `guard` before each request and every second
        meanwhile. An exception of the guard ends the publication. Such a store also compares its
        bytes with `sha256`, if given. A published object accepts no further writes and cannot be
        published again.
        """


class ReadableStore(Protocol):
    """The part of a store that the reader and the verifier of archives need."""

    def read(self, key: str, *, limit: int) -> bytes:
        """Return the object, or its first `limit` bytes, so that the caller bounds the memory."""

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        """Yield the entries below the prefix, sorted by key. `""` is the whole store."""


class Store(ReadableStore, Protocol):
    """The contract of every store.

    - A key is one or more names joined by `/`; see `checked_key`. A prefix is a key without a
      trailing slash. It matches the keys below it, not other keys that start with its letters.
    - Objects become visible completely or not at all, survive a power cut once `publish` has
      returned, and are never overwritten: of two concurrent calls of `publish` with the same key,
      one raises `ObjectExists`.
    - The key of an object is chosen at its end, when its hash is known. A directory links the
      temporary file into place; an object store collects the bytes in memory and sends them in one
      request with `If-None-Match: *`.
    - Unpublished objects of a killed process are not listed, and `sweep` removes them.
    - After an exception of a guard or another error of `publish`, the object may still appear.
    - `delete` and `delete_prefix` succeed if nothing matches, so that they can be repeated.
    - Every failure is a `StoreError`, never an error of a library.
    """

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoreEntry]:
        """Like `ReadableStore.list`, from the first key behind `after`."""

    @property
    def publishes_at_once(self) -> bool:
        """True if `publish` is as quick as a rename, so that a database transaction may wait for
        it.
        """

    def stage(self) -> AbstractContextManager[StagedObject]: ...

    def open(self, key: str) -> BinaryIO:
        """Return a stream that the caller closes. Raises `ObjectMissing` if there is no object."""

    def size(self, key: str) -> int | None:
        """Return the size in bytes, or None if there is no object."""

    def delete(self, key: str) -> None: ...

    def delete_prefix(self, prefix: str) -> int:
        """Delete all entries below, including foreign ones. Returns the number of objects."""

    def sweep(self, older_than: datetime.timedelta) -> int:
        """Delete temporary objects whose last write is older. Returns the number of objects."""

    def free_bytes(self) -> int | None:
        """Return the free space in bytes, or None if the store does not know it."""

    def ping(self) -> None:
        """Raise StoreError if the store cannot be reached. Answers within seconds."""

    def checksum_problem(self, key: str) -> str:
        """Describe why bytes that change on the way to the store would not be refused. Empty if
        they are refused, or if there is no way.
        """


def is_check(key: str) -> bool:
    """Return True for objects of `backups.stores.proof`."""
    return key.partition("/")[0] == CHECKS


def checked_key(key: str) -> tuple[str, ...]:
    """Split a key into names. Raises `KeyRefused` if one is empty or starts with a dot or dash."""
    names = tuple(key.split("/"))
    if not all(_SEGMENT.fullmatch(name) for name in names):
        raise KeyRefused(
            f"{key!r} is not a valid key. Use names of letters, digits and _.- joined by /. "
            "A name must not start with . or -."
        )
    return names


def put(store: Store, key: str, data: bytes, guard: Guard = unguarded) -> None:
    """Publish `data`. Raises `ObjectExists` if the key is taken."""
    with store.stage() as staged:
        staged.write(data)
        staged.publish(key, guard)
