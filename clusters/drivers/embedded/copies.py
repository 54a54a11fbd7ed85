"""Copies of a cluster's data directory, one for each engine version that it was upgraded from.

<cluster directory>/copies/<version>/           a complete copy of `data`
<cluster directory>/copies/.<version>.partial/  a copy that is being made

The cluster's process has ended while a copy is made or put back. Parquet and index files are hard
links, because the engine writes each of them once and replaces none. Other files are copied.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from clusters.drivers.base import CopySize, DriverError
from clusters.drivers.embedded.layout import ClusterDirectory

_RESERVE_BYTES = 64 * 1024**2
"""Space that a copy leaves free for the log and the first flush of the new version."""

_WRITTEN_ONCE = (".parquet", ".idx", ".sidx")
_LEFT_OUT = frozenset([".tmp", ".trash", ".staging", "LOCK"])
"""Entries of the data directory that a process creates anew."""


def size_of(directory: ClusterDirectory) -> CopySize:
    total, needed = 0, _RESERVE_BYTES
    for path in _files(directory.data):
        try:
            size = path.lstat().st_size
        except FileNotFoundError:  # the process replaces files meanwhile
            continue
        total += size
        needed += 0 if path.name.endswith(_WRITTEN_ONCE) else size
    return CopySize(total_bytes=total, needed_bytes=needed)


def has_copy(directory: ClusterDirectory, version: str) -> bool:
    return _copy_of(directory, version).is_dir()


def make_copy(directory: ClusterDirectory, version: str) -> None:
    """Copy the data, and name the copy when it is complete. Raises DriverError without space."""
    partial = directory.copies / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    _require_space(directory)
    try:
        partial.mkdir(mode=0o700, parents=True)
        for path in _files(directory.data):
            _link_or_copy(path, partial / path.relative_to(directory.data))
        _make_empty_directories(directory.data, partial)
        partial.rename(_copy_of(directory, version))
        _sync(directory.copies)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        text = f"The data could not be copied: {error.strerror or error}. The incomplete copy was "
        text += "removed."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text += " Free disk space, then retry."
        raise DriverError(text, permanent=True) from error


def exchange(directory: ClusterDirectory, version: str, *, leaving: str) -> None:
    """Put the copy of `version` back. The present data becomes the copy of `leaving`.

    May be called again after a crash between the two renames. Without a copy of `version` the
    exchange is complete already.
    """
    copy = _copy_of(directory, version)
    if not copy.is_dir():
        return
    if directory.data.exists():
        drop(directory, leaving)
        directory.data.rename(_copy_of(directory, leaving))
        _sync(directory.path)
    copy.rename(directory.data)
    _sync(directory.copies)
    _sync(directory.path)


def drop(directory: ClusterDirectory, version: str) -> None:
    """Remove the copy in one step, because an incomplete copy must not be put back."""
    copy, doomed = _copy_of(directory, version), directory.copies / f".{version}.doomed"
    shutil.rmtree(doomed, ignore_errors=True)
    if copy.is_dir():
        copy.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _copy_of(directory: ClusterDirectory, version: str) -> Path:
    return directory.copies / Path(version).name


def _require_space(directory: ClusterDirectory) -> None:
    needed = size_of(directory).needed_bytes
    free = shutil.disk_usage(directory.path).free
    if free < needed:
        raise DriverError(
            f"The copy of the data needs {needed // 1024**2} MiB, and {free // 1024**2} MiB are "
            "free. Free disk space, then retry.",
            permanent=True,
        )


def _files(root: Path) -> Iterator[Path]:
    for path, directories, names in os.walk(root):
        if Path(path) == root:
            directories[:] = [name for name in directories if name not in _LEFT_OUT]
            names = [name for name in names if name not in _LEFT_OUT]
        yield from (Path(path, name) for name in names)


def _make_empty_directories(data: Path, copy: Path) -> None:
    for path, directories, _ in os.walk(data):
        if Path(path) == data:
            directories[:] = [name for name in directories if name not in _LEFT_OUT]
        (copy / Path(path).relative_to(data)).mkdir(mode=0o700, parents=True, exist_ok=True)


def _link_or_copy(path: Path, target: Path) -> None:
    """Leave out links, because the cluster's process is not trusted and could name any file."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.name.endswith(_WRITTEN_ONCE):
        try:
            target.hardlink_to(path)
        except OSError:  # a file system without hard links
            pass
        else:
            return
    shutil.copyfile(path, target)
    shutil.copymode(path, target)
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
