"""A full Milvus 2.3.5 from PyPI, with users and passwords.

A machine runs one at a time, because its etcd binds fixed ports. `make test` starts one for the
suites on both databases and names its port in `PORT_VARIABLE`. A single pytest starts its own.

A server that waits takes a quarter of a core. So each suite writes a byte into a pipe after its
last test that needs the server, and the server ends with the last of these.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.ports import free_port

PORT_VARIABLE = "VBASE_TEST_FULL_MILVUS_PORT"
PIPE_VARIABLE = "VBASE_TEST_FULL_MILVUS_PIPE"
"""File descriptor for the byte of a suite."""
_TESTS = "tests/full_milvus/"
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
def shared(directory: Path, *, suites: int) -> Iterator[int]:
    """Start a server for some suites. It ends with the last test of the last of them."""
    reading, writing = os.pipe()

    def wait_for_suites() -> None:
        for _ in range(suites):
            os.read(reading, 1)

    with started(directory, wait_until_unused=wait_for_suites) as port:
        os.environ |= {PORT_VARIABLE: str(port), PIPE_VARIABLE: str(writing)}
        yield port


class LastUse:
    """Plugin of the process that distributes the tests of a suite: tells when it has had the last
    of those that need the server.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._left: set[str] | None = None

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if self._left is None:
            self._left = {nodeid for nodeid in ids if nodeid.startswith(_TESTS)}
            self._tell_if_last()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._left and report.when == "teardown" and report.nodeid in self._left:
            self._left.discard(report.nodeid)
            self._tell_if_last()

    def _tell_if_last(self) -> None:
        if not self._left:
            os.write(self._pipe, b".")


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin in the process that inherits the pipe."""
    if PIPE_VARIABLE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(LastUse(int(os.environ[PIPE_VARIABLE])))


@contextmanager
def started(
    directory: Path,
    intervals: Mapping[str, int] = _SHORT_INTERVALS,
    wait_until_unused: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Start a server without waiting until it answers. Waits while another run has one."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port = free_port()
        process = _start(directory, port, intervals)

        def end_when_unused(wait: Callable[[], None]) -> None:
            wait()
            _end(process)

        if wait_until_unused is not None:
            arguments = (wait_until_unused,)
            threading.Thread(target=end_when_unused, args=arguments, daemon=True).start()
        try:
            yield port
        finally:
            _end(process)


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
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
