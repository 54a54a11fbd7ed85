"""Kernel calls for processes: subreaper, parent-death signal, sessions and kill."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants, so that a stop finds them."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`. The kernel sends the signal to the new process when this one ends."""
    parent = os.getpid()
    return lambda: die_with(parent, number)


def die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process the signal when its parent ends. Ends the process if the
    parent has already ended. Resets the signal, because background jobs inherit ignored signals.
    """
    if number != signal.SIGKILL:  # SIGKILL cannot be ignored or blocked
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def reap_adopted(own: Iterable[int]) -> None:
    """Reap ended processes that were adopted. The caller waits for those in `own` itself."""
    keep = set(own)
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in keep:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def session_members(session: int) -> list[psutil.Process]:
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            process = psutil.Process(pid)
            if os.getsid(pid) == session:
                members.append(process)
    return members


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def kill_all(processes: Iterable[psutil.Process], *, timeout_seconds: float = 2) -> None:
    doomed = list(processes)
    for process in doomed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + timeout_seconds
    while any(map(is_alive, doomed)) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Return False for ended processes and for zombies without threads. A zombie with threads still
    holds its files and its port.
    """
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return process.is_running() and not ended
    except psutil.NoSuchProcess:
        return False
