"""A full Milvus 2.3.5 from PyPI, with users and passwords.

A machine runs one at a time, because its etcd binds fixed ports. `make test` starts one for the
suites on both databases and names its port in `PORT_VARIABLE`. A single pytest starts its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PORT_VARIABLE = "VBASE_TEST_FULL_MILVUS_PORT"
_PROGRAM_BESIDE_PYTHON = str(Path(sys.executable).with_name("milvus-server"))
_SHORT_INTERVALS = {
    "proxy.timeTickInterval": 20,
    "queryCoord.checkInterval": 50,
    "queryCoord.distPullInterval": 50,
    "queryCoord.checkHandoffInterval": 200,
}
"""In milliseconds. Waits of the server would be most of the time of the tests."""
_SESSION_SECONDS = 600
"""The server ends itself when its session expires, by default after 30 s on a busy machine."""
_END_SECONDS = 60
_LOCK = Path(tempfile.gettempdir(), "vbase-console-full-milvus.lock")


def program() -> str | None:
    """Return the path of `milvus-server`, or None on a platform without a wheel."""
    return shutil.which(os.environ.get("MILVUS_SERVER", _PROGRAM_BESIDE_PYTHON))


@contextmanager
def full_milvus(directory: Path) -> Iterator[int]:
    """Yield the port of a server that was just started, or of the one that `make test` started."""
    if PORT_VARIABLE in os.environ:
        yield int(os.environ[PORT_VARIABLE])
        return
    with started(directory) as port:
        yield port


@contextmanager
def started(directory: Path, intervals: Mapping[str, int] = _SHORT_INTERVALS) -> Iterator[int]:
    """Start a server without waiting until it answers. Waits while another run has one."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port = _free_port()
        process = _start(directory, port, intervals)
        try:
            yield port
        finally:
            _end(process)


def _free_port() -> int:
    """Repeated here, because an import of the console would choose the settings of the tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(directory: Path, port: int, intervals: Mapping[str, int]) -> subprocess.Popen[bytes]:
    path = program()
    assert path is not None, "milvus-server is not installed"
    command = [path, "--data", str(directory), "--proxy-port", str(port)]
    for name, value in {**intervals, "common.session.ttl": _SESSION_SECONDS}.items():
        command += ["--extra-config", f"{name}={value}"]
    return subprocess.Popen(
        [*command, "--authorization-enabled", "true"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
