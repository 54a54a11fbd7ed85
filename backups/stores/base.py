"""What a backup store is: named objects that are written once and read many times.

A store takes values and gives values. It knows no row, no request and no task; one contract suite
(`tests/contracts/test_backup_store.py`) runs against every one of them.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)


class StoreError(Exception):
    """The store could not do it; the message says what was being done and what to do now.

    `permanent` errors will not go away by trying again.
    """

    permanent = False


class ObjectMissing(StoreError):
    """There is no object of that name."""

    permanent = True


class ObjectExists(StoreError):
    """There is an object of that name, and objects are never overwritten."""

    permanent = True


class KeyRefused(StoreError):
    """The name is none that a store accepts."""

    permanent = True


class StoreFull(StoreError):
    """There is no room left; nothing half-written stays behind."""


class EntryKind(enum.StrEnum):
    OBJECT = "object"
    LINK = "symbolic link"
    EMPTY_DIRECTORY = "empty directory"
    SPECIAL = "special file"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """One thing that lies in a store. A key that is not ours may hold anything a file name can."""

    key: str
    size: int
    kind: EntryKind = EntryKind.OBJECT


class StagedObject(Protocol):
    """An object that nobody sees yet. Leaving its context without `publish` leaves nothing."""

    def write(self, data: bytes | memoryview) -> int: ...

    def finish(self) -> None:
        """All is written: do now what takes time, so that `publish` is quick. May be left out."""

    def publish(self, key: str) -> None:
        """Make it visible under that key, whole and durable, or raise `ObjectExists`.

        Once only, and nothing can be written afterwards.
        """


class Store(Protocol):
    """The contract of every store.

    - A key is one or more names joined by `/`; see `checked_key`. A prefix is a key without a
      slash at its end, and means everything below it, never what merely starts with its letters.
    - Objects appear whole or not at all, survive a power cut once `publish` has returned, and are
      never overwritten: of two that publish the same key at once, one gets `ObjectExists`.
    - The name of an object is given at its end, when its hash is known. A directory moves the
      temporary file into place; an object store stages (a local file, or a temporary key that is
      then copied) and puts with `If-None-Match: *`.
    - What a killed process left unpublished is not listed, and `sweep` removes it.
    - `delete` and `delete_prefix` succeed on what is not there, so they can be asked again.
    - What goes wrong is a `StoreError`, never a bare error of a library.
    """

    def stage(self) -> AbstractContextManager[StagedObject]: ...

    def open(self, key: str) -> BinaryIO:
        """A stream that the caller closes; `ObjectMissing` where there is none."""

    def read(self, key: str, *, limit: int) -> bytes:
        """All of it, or its first `limit` bytes: memory stays bounded by what the caller wants."""

    def size(self, key: str) -> int | None:
        """In bytes; None where there is no such object."""

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        """Everything below the prefix, sorted by key; `""` is the whole store."""

    def delete(self, key: str) -> None: ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove everything below, foreign things included; answers how many objects went."""

    def sweep(self, older_than: datetime.timedelta) -> int:
        """Remove temporary objects not written to for that long; answers how many."""

    def free_bytes(self) -> int | None:
        """None where nobody can know."""


def checked_key(key: str) -> tuple[str, ...]:
    """The names of a key, or `KeyRefused`: no empty name, none that starts with a dot or dash."""
    names = tuple(key.split("/"))
    if not all(_SEGMENT.fullmatch(name) for name in names):
        raise KeyRefused(
            f"{key!r} is no key: use names of letters, digits and _.- (starting with none of . -)"
            " joined by /."
        )
    return names


def put(store: Store, key: str, data: bytes) -> None:
    """Publish these bytes, or raise `ObjectExists`."""
    with store.stage() as staged:
        staged.write(data)
        staged.publish(key)
