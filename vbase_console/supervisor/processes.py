"""What the kernel is asked about processes, so that none of ours is left behind."""

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
    """What a dead child of ours leaves behind becomes our child, and is found when we stop."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For a process about to be: the kernel sends it this signal when the supervisor ends, however
    that happens.
    """
    parent = os.getpid()
    return lambda: die_with(parent, number)


def die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process the signal when its parent ends; end at once if that is
    over. In the background of a script some are ignored, and that would be inherited.
    """
    if number != signal.SIGKILL:  # which nobody can ignore, nor ask not to
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def reap_adopted(own: Iterable[int]) -> None:
    """Let go of ended processes that were adopted; those in `own` have somebody who waits."""
    keep = set(own)
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in keep:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def session_members(session: int) -> list[psutil.Process]:
    return [process for process in _living(psutil.pids()) if _session_of(process.pid) == session]


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
    """A zombie without threads has ended; only its parent has not looked yet. One with threads
    still holds its files and its port.
    """
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return process.is_running() and not ended
    except psutil.NoSuchProcess:
        return False


def _living(pids: Iterable[int]) -> Iterable[psutil.Process]:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
