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
    Guard,
    ObjectExists,
    ObjectMissing,
    StoreEntry,
    StoreError,
    StoreFull,
    checked_key,
    unguarded,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_INCOMING = ".incoming"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE = 0o600


class LocalStore:
    """A store whose objects are files that only their owner can read.

    A finished file gets its name by a hard link, because a link fails if the name is taken. The
    temporary files are on the same file system.
    """

    publishes_at_once = True

    def __init__(self, root: str | Path, *, lists_temporary: bool = False) -> None:
        """`lists_temporary` also lists temporary files, for directories that must not have any."""
        self.root = os.fspath(root)
        self.lists_temporary = lists_temporary

    @contextlib.contextmanager
    def stage(self) -> Iterator[_StagedFile]:
        with contextlib.ExitStack() as stack:
            with _translate_errors("create a temporary file in", self.root):
                directories.make(self.root)
                opening = directories.opened(self.root, (_INCOMING,), create=True)
                staged = _StagedFile(self.root, stack.enter_context(opening))
            stack.callback(staged.discard)
            yield staged

    def open(self, key: str) -> BinaryIO:
        *parents, name = checked_key(key)
        with (
            _translate_errors("read", key),
            directories.opened(self.root, parents) as directory,
        ):
            descriptor = os.open(name, _READ, dir_fd=directory)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise StoreError(f"{key} is not a regular file.")
            return os.fdopen(descriptor, "rb")

    def read(self, key: str, *, limit: int) -> bytes:
        with _translate_errors("read", key), self.open(key) as stream:
            return stream.read(limit)

    def size(self, key: str) -> int | None:
        *parents, name = checked_key(key)
        try:
            with (
                _translate_errors("read the size of", key),
                directories.opened(self.root, parents) as directory,
            ):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except ObjectMissing:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoreEntry]:
        names = checked_key(prefix) if prefix else ()
        with (
            contextlib.suppress(ObjectMissing),
            _translate_errors("list", prefix or self.root),
            directories.opened(self.root, names) as directory,
        ):
            for entry in directories.entries_below(directory, prefix, after=after):
                if self.lists_temporary or entry.key.split("/")[0] != _INCOMING:
                    yield entry

    def delete(self, key: str) -> None:
        self._remove(key)

    def delete_prefix(self, prefix: str) -> int:
        return self._remove(prefix)

    def sweep(self, older_than: datetime.timedelta) -> int:
        latest = time.time() - older_than.total_seconds()
        with (
            contextlib.suppress(ObjectMissing),
            _translate_errors("sweep", self.root),
            directories.opened(self.root, (_INCOMING,)) as incoming,
        ):
            return sum(_remove_old(incoming, name, latest) for name in os.listdir(incoming))
        return 0

    def free_bytes(self) -> int | None:
        existing = next(
            path for path in (Path(self.root), *Path(self.root).parents) if path.exists()
        )
        status = os.statvfs(existing)
        return status.f_bavail * status.f_frsize

    def ping(self) -> None:
        """Raise StoreError if the directory exists and cannot be read or written."""
        if os.path.lexists(self.root) and not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            raise StoreError(f"{self.root} is no directory that this process can read and write.")

    def checksum_problem(self, key: str) -> str:
        return ""

    def _remove(self, key: str) -> int:
        *parents, name = checked_key(key)
        with (
            contextlib.suppress(ObjectMissing),
            _translate_errors("delete", key),
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
        with _translate_errors("write to", self.root):
            return self.stream.write(data)

    def finish(self) -> None:
        if not self.stream.closed:
            with _translate_errors("write to", self.root):
                self.stream.flush()
                os.fsync(self.stream.fileno())
                self.stream.close()

    def publish(self, key: str, guard: Guard = unguarded, *, sha256: str = "") -> None:
        *parents, name = checked_key(key)
        self.finish()
        with (
            _translate_errors("publish", key),
            directories.opened(self.root, parents, create=True) as directory,
        ):
            os.link(
                self.name,
                name,
                src_dir_fd=self.incoming,
                dst_dir_fd=directory,
                follow_symlinks=False,
            )
            os.fsync(directory)

    def discard(self) -> None:
        """Close and remove the file. Write errors are ignored, because a full disk causes them."""
        with contextlib.suppress(OSError):
            self.stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.incoming)


def _remove_old(incoming: int, name: str, latest: float) -> int:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime <= latest:
            return directories.remove(incoming, name)
    return 0


@contextlib.contextmanager
def _translate_errors(action: str, target: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ObjectExists(f"Could not {action} {target}: the object exists.") from error
    except FileNotFoundError as error:
        raise ObjectMissing(f"Could not {action} {target}: the object does not exist.") from error
    except OSError as error:
        error_class = StoreFull if error.errno in _FULL else StoreError
        raise error_class(f"Could not {action} {target}: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    if error.errno in {errno.EOPNOTSUPP, errno.EPERM}:
        return f"{error.strerror} (the file system of a backup store must support hard links)"
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return f"{error.strerror} (a backup store is a directory without symbolic links)"
    return error.strerror or str(error)
