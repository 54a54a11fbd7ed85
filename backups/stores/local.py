"""A backup store in a directory."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from backups.stores import directories
from backups.stores.base import (
    ObjectExists,
    ObjectMissing,
    StoreEntry,
    StoreError,
    StoreFull,
    checked_key,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_INCOMING = ".incoming"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE = 0o600


class LocalStore:
    """Objects are files readable by their owner alone, moved into place by a hard link.

    A link is the one way to give a finished file its name that fails if the name is taken. The
    temporary files lie beside the objects, on the same file system.
    """

    def __init__(self, root: str | Path, *, lists_temporary: bool = False) -> None:
        """`lists_temporary` is for looking at a directory that should hold no temporary file."""
        self.root = os.fspath(root)
        self.lists_temporary = lists_temporary

    @contextlib.contextmanager
    def stage(self) -> Iterator[_StagedFile]:
        with contextlib.ExitStack() as stack:
            with _explained("make a temporary file in", self.root):
                directories.make(self.root)
                opening = directories.opened(self.root, (_INCOMING,), create=True)
                staged = _StagedFile(self.root, stack.enter_context(opening))
            stack.callback(staged.discard)
            yield staged

    def open(self, key: str) -> BinaryIO:
        *parents, name = checked_key(key)
        with (
            _explained("read", key),
            directories.opened(self.root, parents) as directory,
        ):
            descriptor = os.open(name, _READ, dir_fd=directory)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise StoreError(f"{key} is not a regular file.")
            return os.fdopen(descriptor, "rb")

    def read(self, key: str, *, limit: int) -> bytes:
        with _explained("read", key), self.open(key) as stream:
            return stream.read(limit)

    def size(self, key: str) -> int | None:
        *parents, name = checked_key(key)
        try:
            with _explained("look at", key), directories.opened(self.root, parents) as directory:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except ObjectMissing:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        names = checked_key(prefix) if prefix else ()
        with (
            contextlib.suppress(ObjectMissing),
            _explained("list", prefix or self.root),
            directories.opened(self.root, names) as directory,
        ):
            yield from filter(self._is_listed, directories.entries_below(directory, prefix))

    def _is_listed(self, entry: StoreEntry) -> bool:
        return self.lists_temporary or entry.key.split("/")[0] != _INCOMING

    def delete(self, key: str) -> None:
        self._remove(key)

    def delete_prefix(self, prefix: str) -> int:
        return self._remove(prefix)

    def sweep(self, older_than: datetime.timedelta) -> int:
        latest = time.time() - older_than.total_seconds()
        with (
            contextlib.suppress(ObjectMissing),
            _explained("sweep", self.root),
            directories.opened(self.root, (_INCOMING,)) as incoming,
        ):
            return sum(_sweep(incoming, name, latest) for name in os.listdir(incoming))
        return 0

    def free_bytes(self) -> int | None:
        existing = next(
            path for path in (Path(self.root), *Path(self.root).parents) if path.exists()
        )
        status = os.statvfs(existing)
        return status.f_bavail * status.f_frsize

    def _remove(self, key: str) -> int:
        *parents, name = checked_key(key)
        with (
            contextlib.suppress(ObjectMissing),
            _explained("delete", key),
            directories.opened(self.root, parents) as directory,
        ):
            removed = directories.remove(directory, name)
            os.fsync(directory)
            return removed
        return 0


class _StagedFile:
    def __init__(self, root: str, incoming: int) -> None:
        self.root, self.incoming = root, incoming
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.stream = os.fdopen(os.open(self.name, _CREATE, _PRIVATE, dir_fd=incoming), "wb")

    def write(self, data: bytes | memoryview) -> int:
        with _explained("write to", self.root):
            return self.stream.write(data)

    def finish(self) -> None:
        if not self.stream.closed:
            with _explained("write to", self.root):
                self.stream.flush()
                os.fsync(self.stream.fileno())
                self.stream.close()

    def publish(self, key: str) -> None:
        *parents, name = checked_key(key)
        self.finish()
        with (
            _explained("publish", key),
            directories.opened(self.root, parents, create=True) as directory,
        ):
            self._link(name, directory)
            os.fsync(directory)

    def _link(self, name: str, directory: int) -> None:
        os.link(
            self.name,
            name,
            src_dir_fd=self.incoming,
            dst_dir_fd=directory,
            follow_symlinks=False,
        )

    def discard(self) -> None:
        """Close without caring for what is still buffered: a full disk must not stop this."""
        with contextlib.suppress(OSError):
            self.stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.incoming)


def _sweep(incoming: int, name: str, latest: float) -> int:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime <= latest:
            return directories.remove(incoming, name)
    return 0


@contextlib.contextmanager
def _explained(doing: str, what: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ObjectExists(f"Could not {doing} {what}: it exists.") from error
    except FileNotFoundError as error:
        raise ObjectMissing(f"Could not {doing} {what}: it is not there.") from error
    except OSError as error:
        raise _error_for(error)(f"Could not {doing} {what}: {_reason(error)}.") from error


def _error_for(error: OSError) -> type[StoreError]:
    return StoreFull if error.errno in _FULL else StoreError


def _reason(error: OSError) -> str:
    if error.errno in {errno.EOPNOTSUPP, errno.EPERM}:
        return f"{error.strerror} (the file system of a backup store needs hard links)"
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return f"{error.strerror} (a backup store is a directory, and follows no symbolic links)"
    return error.strerror or str(error)
