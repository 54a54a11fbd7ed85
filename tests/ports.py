"""Ports for servers that tests start.

The kernel gives the ports from 32,768 on to outgoing connections, and the product gives those from
20,000 on to clusters. A port of either kind may be taken between its choice and the server's start.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_PORTS = range(10_000, 20_000)
_reserved: set[int] = set()
_locks: dict[int, int] = {}
"""Descriptor of the file of locks by process id: locks of a process end with it, and a forked
process has none.
"""


def free_port() -> int:
    """Choose a port that is free, and that no other test process chooses while this one lives."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _reserved and _is_locked_for_this_process(port) and _is_free(port):
            _reserved.add(port)
            return port
    raise AssertionError(f"No port from {_PORTS.start} to {_PORTS.stop - 1} is free.")


def _is_locked_for_this_process(port: int) -> bool:
    process = os.getpid()
    if process not in _locks:
        path = Path(tempfile.gettempdir()) / f"vbase-test-ports-{os.getuid()}"
        _locks[process] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(_locks[process], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
