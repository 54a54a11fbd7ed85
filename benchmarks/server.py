"""The console's servers on a temporary data directory with a few clusters."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 15


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """Port and process id of a running server."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that the server and all its workers have used."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in (self.pid, *children)]
        ticks = [stat.rpartition(")")[2].split()[11:13] for stat in stats]
        return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filled:
    """Ids in the database, and the API key of the requests."""

    organization_id: str
    cluster_id: str
    key: str
    session: str
    """Session cookie of the owner."""


@contextlib.contextmanager
def served() -> Iterator[tuple[Served, Filled]]:
    """Run the web server with data. Both are deleted afterwards."""
    with filled_console() as (environment, filled), web(environment) as server:
        yield server, filled


@contextlib.contextmanager
def filled_console(
    database: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[dict[str, str], Filled]]:
    """Yield the environment of a console with data, which is deleted afterwards. `database` names
    an empty one in environment variables; none is SQLite.
    """
    with tempfile.TemporaryDirectory(prefix="vbase-bench-") as directory:
        (Path(directory) / "static").mkdir()
        environment = {
            **os.environ,
            "VBASE_DATA_DIR": directory,
            "VBASE_CLUSTER_DRIVER": "memory",
            "VBASE_LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
            **database,
        }
        yield environment, _filled(environment)


def web(environment: dict[str, str]) -> contextlib.AbstractContextManager[Served]:
    port = _free_port()
    return _running(_gunicorn(port), environment, port)


def grpc(environment: dict[str, str]) -> contextlib.AbstractContextManager[Served]:
    port = _free_port()
    command = [sys.executable, "-m", "vbase_console.rpc"]
    return _running(command, environment | {"VBASE_GRPC_PORT": str(port)}, port)


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], port: int) -> Iterator[Served]:
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        _wait_for(port, server)
        yield Served(port=port, pid=server.pid)
    finally:
        _stop(server)


def _filled(environment: dict[str, str]) -> Filled:
    command = [sys.executable, "-m", "benchmarks.fill"]
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return Filled(**json.loads(said.stdout))


def _gunicorn(port: int) -> list[str]:
    """As `make run` starts it."""
    from vbase_console.supervisor import programs

    return [
        *(sys.executable, "-m", "gunicorn", "benchmarks.wsgi"),
        *("--bind", f"{HOST}:{port}", "--preload"),
        *("--worker-class", "vbase_console.web_server.worker.ReceivingWorker"),
        *("--workers", str(programs.WEB_WORKERS), "--threads", str(programs.WEB_THREADS)),
        *("--worker-connections", str(programs.WEB_CONNECTIONS)),
        *("--keep-alive", str(programs.KEEP_ALIVE_SECONDS)),
        *("--log-level", "warning", "--no-control-socket"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"The server did not start within {START_SECONDS} s; see above.")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
