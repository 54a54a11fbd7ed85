"""Access to directories by descriptor, so that no name in a path can be replaced by a link."""

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
    """Create the directory and its parents durably. The parent of an existing directory may be
    unreadable.
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
    """Open the directory `names` below `path`. Only `path` itself may be a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            descriptor = _step(descriptor, name, create=create)
        yield descriptor
    finally:
        os.close(descriptor)


def _step(parent: int, name: str, *, create: bool) -> int:
    """Open a child directory and close its parent. The parent stays open if this raises.

    The parent is also flushed if the child exists, because the process that created the child may
    have died before its flush, and published objects must survive a power cut.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _PRIVATE, dir_fd=parent)
        os.fsync(parent)
    child = os.open(name, _OPEN, dir_fd=parent)
    os.close(parent)
    return child


def entries_below(directory: int, prefix: str, *, after: str = "") -> Iterator[StoreEntry]:
    """Yield the entries below, sorted by key. Links are listed and not followed.

    Directories whose keys are all before `after` are not read.
    """
    with os.scandir(directory) as children:
        names = [child.name for child in sorted(children, key=_sort_key)]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            key = f"{prefix}/{name}" if prefix else name
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            first = f"{key}/" if stat.S_ISDIR(status.st_mode) else key
            if os.fsencode(first) <= os.fsencode(after) and not after.startswith(f"{key}/"):
                continue
            if stat.S_ISREG(status.st_mode):
                yield StoreEntry(key=key, size=status.st_size)
            elif stat.S_ISLNK(status.st_mode):
                yield StoreEntry(key=key, size=0, kind=EntryKind.LINK)
            elif stat.S_ISDIR(status.st_mode):
                child = os.open(name, _OPEN, dir_fd=directory)
                try:
                    if not os.listdir(child):
                        yield StoreEntry(key=key, size=0, kind=EntryKind.EMPTY_DIRECTORY)
                    yield from entries_below(child, key, after=after)
                finally:
                    os.close(child)
            else:
                yield StoreEntry(key=key, size=0, kind=EntryKind.SPECIAL)


def _sort_key(child: os.DirEntry[str]) -> bytes:
    """Sort a directory as if its name ended in a slash, so that the whole walk is sorted."""
    is_directory = child.is_dir(follow_symlinks=False)
    return os.fsencode(f"{child.name}/" if is_directory else child.name)


def remove(parent: int, name: str) -> int:
    """Delete a file, or a directory and its content. Returns the number of deleted files."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=parent)
            return 1
    except FileNotFoundError:
        return 0
    directory = os.open(name, _OPEN, dir_fd=parent)
    try:
        removed = sum(remove(directory, child) for child in os.listdir(directory))
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)
    return removed
