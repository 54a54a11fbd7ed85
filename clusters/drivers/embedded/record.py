"""Process record of a cluster: a file with pid and start time, and a lock.

Pids are reused. A pid together with the start time and the boot id identifies one process.
"""

from __future__ import annotations

import contextlib
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
    """Another launcher is running for this directory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """Identity of one process, unique also if its pid is reused."""

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
        """Return False for an ended process, also for a zombie."""
        state, start = _state_and_start(self.pid)
        if start != self.start:
            return False
        if state in _ENDED:
            # Collects the exit status if the process is a child of this one.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return state not in _ENDED


_ENDED = ("Z", "X")


def start_of(pid: int) -> str:
    """Return the boot id and the start time of a process in kernel ticks."""
    return _state_and_start(pid)[1]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return the state X and an empty start if there is no such process."""
    try:
        # The command name in parentheses can contain any character; the fields follow it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", ""
    return fields[0], f"{_BOOT_ID.read_text().strip()}:{fields[19]}"


class ProcessRecord:
    """Lock of a running launcher on its directory, held until the launcher ends."""

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
                f"Another launcher is running for {directory}. Stop it first."
            ) from error
        identity = ProcessIdentity(pid=os.getpid(), start=start_of(os.getpid()), port=port)
        # Replaced atomically for concurrent readers.
        new = (directory / _RECORD).with_suffix(".new")
        new.write_text(json.dumps(dataclasses.asdict(identity)))
        new.replace(directory / _RECORD)
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
