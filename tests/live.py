"""A real console for tests: started, watched, killed and ended by its process id."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
import psutil
import psycopg
import pytest

from tests.databases import at_database
from tests.migrated import TEMPLATE_VARIABLE, copy_migrated
from tests.ports import free_port

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120.0
STOP_SECONDS = 15.0
logging.getLogger("httpx").setLevel(logging.WARNING)  # waiting asks often


def wait_for(condition: Callable[[], T], timeout_seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first true value of the condition."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {timeout_seconds:.0f} s in vain")


class Console:
    """One data directory and the console on it; it can be started again and again."""

    headers: ClassVar[dict[str, str]] = {}
    """Headers that a proxy in front would send."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VBASE_")},
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
            "VBASE_DATA_DIR": str(data_dir),
            "VBASE_PORT": str(self.port),
            "VBASE_GRPC_PORT": str(self.grpc_port),
            "VBASE_LEASE_SECONDS": "1",
            "VBASE_SWEEP_SECONDS": "2",
            "VBASE_WORKER_CONCURRENCY": "2",
            **environment,
        }
        self.command = [sys.executable, "-m", "vbase_console.supervisor"]
        self.process: subprocess.Popen[str] | None = None
        self.said: list[str] = []
        self._apis: list[Api] = []

    # -- its life ----------------------------------------------------------------------------------

    def start(self) -> Console:
        self.begin()
        self.wait_until_said("Ctrl-C stops everything")
        return self

    def begin(self) -> None:
        """Start it and do not wait."""
        self.said = []
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=PROJECT,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.said.append(line.rstrip("\n"))

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, and wait for as long as the console may take."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """As the kernel would when memory is short."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """After a test, whatever state it left the console in."""
        for api in self._apis:
            api.http.close()
        if self.is_running():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self.kill()
        for left in self.processes():
            left.kill()

    # -- what can be seen of it --------------------------------------------------------------------

    def wait_until_said(self, text: str, since: int = 0) -> str:
        def found() -> str:
            assert self.process is not None
            ended = self.process.poll() is not None
            line = next((line for line in self.said[since:] if text in line), "")
            assert line or not ended, "the console ended: " + "\n".join(self.said)
            return line

        try:
            return wait_for(found)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n" + "\n".join(self.said)) from error

    def processes(self) -> list[psutil.Process]:
        """Everything that lives and carries this data directory, the clusters included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            named = process.environ().get("VBASE_DATA_DIR") == str(self.data_dir)
            return named and process.status() != psutil.STATUS_ZOMBIE
        return False

    def wait_until_nothing_is_left(self) -> None:
        try:
            wait_for(lambda: self.processes() == [])
        except AssertionError as error:
            left = [" ".join(process.cmdline()) for process in self.processes()]
            raise AssertionError(f"{error}; left: {left}") from error

    def processes_like(self, *words: str) -> list[psutil.Process]:
        """Those whose command line holds every one of the words."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if all(word in line for word in words):
                    found.append(process)
        return found

    def leader(self, *words: str) -> psutil.Process:
        """The first process of a child, not those that it forked."""
        assert self.process is not None
        own = self.process.pid
        return next(each for each in self.processes_like(*words) if each.ppid() == own)

    # -- what can be asked of it -------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        """Return the standard output of a management command."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def api(self, key: str | None = None) -> Api:
        key = key or self.manage(
            *("issue_api_key", "--organization", "demo", "--name", f"test-{uuid.uuid4().hex[:8]}")
        )
        self._apis.append(Api(self.url, key, self.headers))
        return self._apis[-1]


class Api:
    """The documented API with one key; every call says what went wrong."""

    def __init__(self, url: str, key: str, headers: Mapping[str, str] = {}) -> None:
        self.key = key
        self.http = httpx.Client(
            base_url=f"{url}/v1/vbase",
            headers={**headers, "Authorization": f"Bearer {key}"},
            timeout=30,
        )
        self.organization_id = self.get("/me")["organizationId"]

    def get(self, path: str) -> dict[str, Any]:
        return self._checked(self.http.get(path))

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._checked(self.http.post(path, json=body))

    def delete(self, path: str) -> dict[str, Any]:
        return self._checked(self.http.delete(path))

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 200, response.text
        return dict(response.json())

    # -- clusters ----------------------------------------------------------------------------------

    def create(self, name: str, **fields: Any) -> dict[str, Any]:
        return dict(self.post("/clusters", name=name, **fields)["cluster"])

    def created(self, name: str, **fields: Any) -> dict[str, Any]:
        """A cluster that runs."""
        cluster = self.create(name, **fields)
        self.wait_for_status(cluster, "RUNNING")
        return cluster

    def status(self, cluster: dict[str, Any]) -> str:
        path = f"/{self.organization_id}/clusters/{cluster['clusterId']}"
        return str(self.get(path)["cluster"]["serviceStatus"])

    def wait_for_status(self, cluster: dict[str, Any], status: str) -> None:
        try:
            wait_for(lambda: self.status(cluster) == status and not self.in_progress(cluster))
        except AssertionError as error:
            raise AssertionError(f"{self.status(cluster)}: {self.tasks(cluster)}") from error

    def in_progress(self, cluster: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.get(f"/clusters/{cluster['clusterId']}/task/in-progress")["tasks"])

    def tasks(self, cluster: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.get(f"/clusters/{cluster['clusterId']}/task")["tasks"])

    def events(self, cluster: dict[str, Any], task_id: str) -> list[dict[str, Any]]:
        path = f"/clusters/{cluster['clusterId']}/task/{task_id}"
        return list(self.get(path)["task"]["events"])

    def access(self, cluster: dict[str, Any]) -> dict[str, Any]:
        return self.get(f"/{cluster['serviceId']}/access")


@contextlib.contextmanager
def database_of_its_own(data_dir: Path, *, is_new: bool) -> Iterator[dict[str, str]]:
    """The environment that gives a console a database without rows on the server that this run
    uses. SQLite needs only the file.
    """
    server = os.environ.get("VBASE_DATABASE_URL", "")
    if not server.startswith("postgres"):
        if not is_new:
            copy_migrated(data_dir / "console.sqlite3")
        yield {}
        return
    name = f"console_{uuid.uuid4().hex}"
    template = "template1" if is_new else os.environ.get(TEMPLATE_VARIABLE, "template1")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield {"VBASE_DATABASE_URL": at_database(server, name)}
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def a_console(data_dir: Path, *, is_new: bool = False, **environment: str) -> Iterator[Console]:
    """Not started yet; ended in any case. Unless `is_new`, its database has all migrations."""
    with database_of_its_own(data_dir, is_new=is_new) as database:
        console = Console(data_dir, **{**database, **environment})
        try:
            yield console
        finally:
            console.close()


SHARED = pytest.StashKey[Console]()


@pytest.fixture(scope="session")
def console(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """One that runs, shared by all tests that leave it running; its password was generated."""
    with a_console(tmp_path_factory.mktemp("console") / "data", is_new=True) as shared:
        request.config.stash[SHARED] = shared
        yield shared.start()


def generated_password(said: list[str]) -> str:
    found = re.search(r"with the password (\S+)", "\n".join(said))
    assert found, said
    return found.group(1)
