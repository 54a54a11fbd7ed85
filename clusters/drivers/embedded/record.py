"""Which process serves a cluster: a file that says its pid and when it started, and a lock on it.

A pid alone comes again after a while; together with the instant of its start, and the boot of the
machine, it names one process.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_RECORD = "process.json"
_LOCK = "process.lock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class AlreadyRunning(Exception):
    """Another launcher serves this directory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process, told apart from every other that had or will have its pid."""

    pid: int
    start: str
    port: int

    @classmethod
    def read(cls, directory: Path) -> ProcessIdentity | None:
        try:
            return cls(**json.loads((directory / _RECORD).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def is_alive(self) -> bool:
        """A zombie has ended; only its parent has not looked yet."""
        state, start = _state_and_start(self.pid)
        if start != self.start:
            return False
        if state in _ENDED:
            _reap(self.pid)
        return state not in _ENDED


_ENDED = ("Z", "X")


def start_of(pid: int) -> str:
    """When a process started, in the kernel's own ticks, and since which boot."""
    return _state_and_start(pid)[1]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Of no process: an end, and a start that no process has."""
    try:
        # The command's name, in parentheses, may hold anything; what follows it may not.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", ""
    return fields[0], f"{_BOOT_ID.read_text().strip()}:{fields[19]}"


def _reap(pid: int) -> None:
    """If it is a child of ours, let it go."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


class ProcessRecord:
    """The claim of a running launcher on its directory, held until it ends."""

    def __init__(self, lock: int) -> None:
        self._lock = lock

    @classmethod
    def claim(cls, directory: Path, *, port: int) -> Self:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise AlreadyRunning(
                f"Another launcher already serves {directory}; stop it first."
            ) from error
        identity = ProcessIdentity(pid=os.getpid(), start=start_of(os.getpid()), port=port)
        _write(directory / _RECORD, json.dumps(dataclasses.asdict(identity)))
        return cls(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._lock)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for whoever reads meanwhile."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
