"""One child of the console: how it is started, watched, started again and ended."""

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
    """What to run, and nothing secret in its command line."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    orphan_signal: signal.Signals = signal.SIGTERM
    """What the kernel sends it when the supervisor is killed: something it obeys at once, although
    the broker goes at the same moment. SIGKILL for what has no processes of its own.
    """
    standard_input: str = dataclasses.field(default="", repr=False)


class Child:
    """A program that should run until it is told to stop."""

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
        """Start it in a session of its own: Ctrl-C in a terminal reaches the supervisor alone."""
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
        self._hand_over(self._process)
        return self._process.pid

    def _hand_over(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None  # noqa: S101 - asked for a pipe
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(self.program.standard_input.encode())

    def ended(self) -> int | None:
        """Its exit code, once; None while it runs, or while it waits to be started again."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        processes.kill_all(processes.session_members(self._process.pid))
        self._process = None
        return code

    def plan_restart(self) -> float:
        """When to start it again, in seconds from now: soon, later each time it does not last."""
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
        """Keep at most one full log besides the one that is written: it is open for appending,
        so what follows lands at the new beginning. Raises `OSError` where there is no room for the
        copy; both logs are as they were then.
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
