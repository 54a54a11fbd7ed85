"""One console for each data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from vbase_console.supervision.errors import StartRefused


@contextlib.contextmanager
def only_console(data_dir: Path, address: str) -> Iterator[None]:
    """Hold the data directory until the block ends; the kernel lets go of it when we die."""
    descriptor = os.open(data_dir / "run" / "console.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, data_dir)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {address}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid, _, address = os.pread(descriptor, 200, 0).decode().partition(" ")
        raise StartRefused(
            f"A console already runs on {data_dir}: process {pid or '(starting)'}, {address}. "
            "Stop it first, or give this one another VBASE_DATA_DIR and VBASE_PORT."
        ) from error
