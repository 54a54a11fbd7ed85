"""Ports for servers that tests start.

The kernel gives the ports from 32,768 on to outgoing connections. The product gives those from
15,000 on to its broker and those from 20,000 on to clusters. A port of these may be taken between
its choice and the server's start.
"""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from pathlib import Path

_PORTS = range(10_000, 15_000)
_reserved: set[int] = set()


def free_port() -> int:
    """Choose a port that is free, and that no other test process chooses while this one lives."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _reserved and _is_locked_for_this_process(port) and _is_free(port):
            _reserved.add(port)
            return port
    raise AssertionError(f"No port from {_PORTS.start} to {_PORTS.stop - 1} is free.")


def _is_locked_for_this_process(port: int) -> bool:
    try:
        fcntl.lockf(_file_of_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _file_of_locks() -> int:
    """Open the file whose byte of a port a process locks. Its locks end with the process."""
    path = Path(tempfile.gettempdir()) / f"vbase-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
