"""Directories held open by descriptor, so that no name on the way can be swapped for a link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence

from backups.stores.base import EntryKind, StoreEntry

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o700
_ORDINARY = 0o777


def make(path: str, mode: int = _PRIVATE) -> None:
    """The directory and those above it, durable each in the one above; one that is there already
    may lie in a directory that somebody else alone can read.
    """
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        make(parent, _ORDINARY)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)
    with contextlib.suppress(PermissionError), opened(parent) as above:
        os.fsync(above)


@contextlib.contextmanager
def opened(path: str, names: Sequence[str] = (), *, create: bool = False) -> Iterator[int]:
    """The descriptor of the directory `names` below `path`; only `path` itself may be a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            descriptor = _step(descriptor, name, create=create)
        yield descriptor
    finally:
        os.close(descriptor)


def _step(parent: int, name: str, *, create: bool) -> int:
    """Into a child; the parent's descriptor stays the caller's only while this raises.

    The parent is flushed also where the child is there already: whoever made it may not have come
    so far, and what is published in it must survive a power cut.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _PRIVATE, dir_fd=parent)
        os.fsync(parent)
    child = os.open(name, _OPEN, dir_fd=parent)
    os.close(parent)
    return child


def entries_below(directory: int, prefix: str) -> Iterator[StoreEntry]:
    """Everything below, sorted by key; links are named and not followed."""
    with os.scandir(directory) as found:
        names = [each.name for each in sorted(found, key=_sort_key)]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            yield from _entries_of(directory, name, f"{prefix}/{name}" if prefix else name)


def _sort_key(found: os.DirEntry[str]) -> bytes:
    """A directory sorts as if its name ended in a slash, which makes the whole walk sorted."""
    is_directory = found.is_dir(follow_symlinks=False)
    return os.fsencode(f"{found.name}/" if is_directory else found.name)


def _entries_of(directory: int, name: str, key: str) -> Iterator[StoreEntry]:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        yield StoreEntry(key=key, size=status.st_size)
    elif stat.S_ISLNK(status.st_mode):
        yield StoreEntry(key=key, size=0, kind=EntryKind.LINK)
    elif stat.S_ISDIR(status.st_mode):
        yield from _entries_of_directory(directory, name, key)
    else:
        yield StoreEntry(key=key, size=0, kind=EntryKind.SPECIAL)


def _entries_of_directory(parent: int, name: str, key: str) -> Iterator[StoreEntry]:
    child = os.open(name, _OPEN, dir_fd=parent)
    try:
        if not os.listdir(child):
            yield StoreEntry(key=key, size=0, kind=EntryKind.EMPTY_DIRECTORY)
        yield from entries_below(child, key)
    finally:
        os.close(child)


def remove(parent: int, name: str) -> int:
    """A file, or a directory with all that is in it; answers how many files went."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        return _unlink(parent, name)
    removed = _empty(parent, name)
    os.rmdir(name, dir_fd=parent)
    return removed


def _empty(parent: int, name: str) -> int:
    child = os.open(name, _OPEN, dir_fd=parent)
    try:
        return sum(remove(child, each) for each in os.listdir(child))
    finally:
        os.close(child)


def _unlink(parent: int, name: str) -> int:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return 0
    return 1
