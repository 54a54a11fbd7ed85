"""Files of a cluster, their locks, and the choice of its port.

<data dir>/clusters/<cluster id>/           data/, copies/, milvus.log, cluster.json, process.json
<data dir>/clusters/<cluster id>.lock       held while a driver changes something
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import random
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters.drivers.base import DriverError, SpecRefused
from clusters.drivers.embedded.answers import MAX_CHARACTERS, as_text
from clusters.drivers.embedded.record import ProcessIdentity

HOST = "127.0.0.1"
CONSOLE_SNAPSHOTS = Path("snapshots", "console")
TENANT_SNAPSHOTS = Path("snapshots", "tenant")
"""Relative to the data directory of the cluster."""
_PORTS = range(20_000, 32_000)
"""Below the ports of outgoing connections, so that a stopped cluster finds its port free again."""
_LOCK_TIMEOUT_SECONDS = 15.0
LOG_END_BYTES = 64 * 1024
_CLUSTER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterState:
    """Persistent state of a cluster, without secrets."""

    port: int
    version: str
    compute_units: int
    should_run: bool = False
    """Distinguishes a crashed cluster from a stopped one."""
    held: bool = False
    """True during an upgrade: writes of tenants are refused."""


class ClusterDirectory:
    def __init__(self, data_dir: Path, cluster_id: str) -> None:
        if not _CLUSTER_ID.fullmatch(cluster_id):
            raise SpecRefused(
                f"{cluster_id!r} cannot be a cluster's id. Use letters, digits, '-' and '_'."
            )
        self.cluster_id = cluster_id
        self.root = data_dir / "clusters"
        self.path = self.root / cluster_id
        self.data = self.path / "data"
        self.snapshots = self.data / CONSOLE_SNAPSHOTS
        self.copies = self.path / "copies"
        self.log = self.path / "milvus.log"
        self._state = self.path / "cluster.json"
        self._lock = self.root / f"{cluster_id}.lock"

    def make(self) -> None:
        for directory in (self.root, self.path, self.data):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def state(self) -> ClusterState | None:
        """Return None if the file is missing or unreadable. A start creates it anew."""
        try:
            return ClusterState(**json.loads(self._state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, state: ClusterState) -> None:
        """Replace the file atomically for concurrent readers."""
        new = self._state.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(dataclasses.asdict(state)))
        new.replace(self._state)

    def process(self) -> ProcessIdentity | None:
        identity = ProcessIdentity.read(self.path)
        return identity if identity is not None and identity.is_alive() else None

    def log_end(self, lines: int = 15, *, max_characters: int = MAX_CHARACTERS) -> str:
        if not self.log.exists():
            return "(there is no log)"
        with self.log.open("rb") as log:
            # The cluster's process decides how long the log is.
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_END_BYTES))
            end = log.read(LOG_END_BYTES).decode(errors="replace")
        text = "\n".join(end.splitlines()[-lines:])
        return as_text(text[-max_characters:], max_characters)

    def remove(self) -> None:
        """Remove the state last, so that an interrupted removal is observed and completed."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.copies, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            raise DriverError(f"{self.path} could not be removed. Check its permissions.")

    @contextmanager
    def locked(self, timeout_seconds: float = _LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
        """Lock the cluster among all processes. Hold the lock for moments, never while waiting."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self._lock, timeout_seconds):
            yield
            if not self.path.exists():
                self._lock.unlink(missing_ok=True)


@contextmanager
def file_lock(path: Path, timeout_seconds: float = _LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise DriverError(
                f"Another process has been changing {path.stem} for {timeout_seconds:.0f} s. "
                "Try again."
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Return None if the lock is held, or if its file was removed meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def cluster_ids(data_dir: Path) -> list[str]:
    root = data_dir / "clusters"
    directories = (path for path in root.iterdir() if path.is_dir()) if root.exists() else ()
    return sorted(path.name for path in directories if _CLUSTER_ID.fullmatch(path.name))


def choose_port(data_dir: Path) -> int:
    """Choose a free port that no other running or stopped cluster has."""
    known = (ClusterDirectory(data_dir, cluster_id).state() for cluster_id in cluster_ids(data_dir))
    taken = {state.port for state in known if state is not None}
    free = [port for port in _PORTS if port not in taken]
    random.shuffle(free)
    for port in free:
        if is_free(port):
            return port
    raise DriverError(
        f"No port from {_PORTS.start} to {_PORTS.stop - 1} is free. Delete a cluster or end "
        "the programs that use these ports."
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
