from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from vbase_console.supervisor import processes

INITIAL_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 10.0
BACKOFF_RESET_SECONDS = 30.0
LOG_LIMIT_BYTES = 10 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """Command of a child process. The command line contains no secret."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    orphan_signal: signal.Signals = signal.SIGTERM
    """Signal from the kernel when the supervisor is killed. The program must end at once, although
    the broker ends at the same moment. SIGKILL for programs without child processes.
    """
    standard_input: str = dataclasses.field(default="", repr=False)


class Child:
    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.restart_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failures = 0

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> int:
        """Start the program in its own session, so that Ctrl-C reaches only the supervisor.

        Returns the process id.
        """
        self._started_at, self.restart_at = time.monotonic(), None
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                self.program.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.program.environment),
                cwd=self.program.directory,
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(self.program.orphan_signal),
            )
        assert self._process.stdin is not None  # noqa: S101 - a pipe was requested
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(self.program.standard_input.encode())
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit code once, and None while the process runs or waits for its restart."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        processes.kill_all(processes.session_members(self._process.pid))
        self._process = None
        return code

    def plan_restart(self) -> float:
        """Return the seconds until the restart, with exponential backoff after short runs."""
        now = time.monotonic()
        lasted = now - self._started_at > BACKOFF_RESET_SECONDS
        self._failures = 0 if lasted else self._failures
        pause = min(INITIAL_BACKOFF_SECONDS * 2.0**self._failures, MAX_BACKOFF_SECONDS)
        self._failures += 1
        self.restart_at = now + pause
        return pause

    def is_due(self) -> bool:
        return self.restart_at is not None and time.monotonic() >= self.restart_at

    def ask_to_stop(self) -> None:
        self.restart_at = None
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def is_gone(self) -> bool:
        return self._process is None or self.ended() is not None

    def kill(self) -> None:
        if self._process is not None:
            processes.kill_all(processes.session_members(self._process.pid))
            self._process.wait()
            self._process = None

    def trim_log(self) -> None:
        """Move a full log to one older file and truncate it; the child keeps it open for appending.

        Raises OSError if there is no space for the copy; both logs are unchanged then.
        """
        if not self.log.exists() or self.log.stat().st_size <= LOG_LIMIT_BYTES:
            return
        copy = self.log.with_suffix(".log.new")
        try:
            shutil.copyfile(self.log, copy)
            copy.replace(self.log.with_suffix(".log.1"))
        finally:
            copy.unlink(missing_ok=True)
        os.truncate(self.log, 0)
