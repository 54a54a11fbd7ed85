"""Group of child processes: start, restart and stop them in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vbase_console.supervisor import processes, startup
from vbase_console.supervisor.child import Child, Program

TICK_SECONDS = 0.1
TRIM_EVERY_SECONDS = 30.0

Say = Callable[[str], None]


class Group:
    def __init__(self, run_directory: Path, logs: Path, say: Say) -> None:
        self._record = run_directory / "sessions.json"
        self._logs = logs
        self._say = say
        self._children: list[Child] = []
        self._trimmed_at = 0.0

    def start(self, programs: Iterable[Program]) -> None:
        for program in programs:
            child = Child(program, self._logs)
            self._children.append(child)
            self._start(child)

    def tend(self) -> None:
        """Report and restart children that have ended, and rotate logs. Called on every tick."""
        for child in self._children:
            if (code := child.ended()) is not None:
                pause = child.plan_restart()
                end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                self._say(f"{child.name} ended ({end}), restart in {pause:g} s. See {child.log}.")
            if child.is_due():
                self._restart(child)
        processes.reap_adopted(self._pids())
        if time.monotonic() - self._trimmed_at >= TRIM_EVERY_SECONDS:
            self._trimmed_at = time.monotonic()
            for child in self._children:
                with self._reporting(f"The log of {child.name} was not rotated"):
                    child.trim_log()

    def stop(
        self, names: Iterable[str], *, timeout_seconds: float, hurried: Callable[[], bool]
    ) -> None:
        chosen = [child for child in self._children if child.name in set(names)]
        for child in chosen:
            child.ask_to_stop()
        deadline = time.monotonic() + timeout_seconds
        left = chosen
        while left := [child for child in left if not child.is_gone()]:
            if time.monotonic() > deadline or hurried():
                break
            time.sleep(TICK_SECONDS)
        for child in left:
            child.kill()

    def kill_rest(self) -> None:
        """Kill all remaining descendants, also those of ended children."""
        processes.kill_all(processes.descendants())
        processes.reap_adopted(())

    @property
    def names(self) -> list[str]:
        return [child.name for child in self._children]

    def _start(self, child: Child) -> int:
        pid = child.start()
        with self._reporting(f"Process {pid} of {child.name} was not recorded"):
            startup.record(self._record, self._pids())
        return pid

    def _restart(self, child: Child) -> None:
        try:
            self._say(f"{child.name} runs again (process {self._start(child)}).")
        except OSError as error:
            pause = child.plan_restart()
            self._say(f"{child.name} was not started: {error}. Next attempt in {pause:g} s.")

    @contextmanager
    def _reporting(self, problem: str) -> Iterator[None]:
        """Report an OSError and continue, because a full disk must not end running children."""
        try:
            yield
        except OSError as error:
            self._say(f"{problem}: {error}.")

    def _pids(self) -> list[int]:
        return [child.pid for child in self._children if child.pid is not None]
