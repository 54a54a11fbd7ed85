"""Launchers and drivers for tests; every process they start is ended by its pid."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from pymilvus import MilvusClient

from clusters.drivers.embedded.server.authentication import Credentials, fingerprint
from clusters.drivers.embedded.server.cores import Cores
from clusters.drivers.embedded.server.server import MilvusServer
from tests.drivers.launched import CONTROL, TOKEN, Launched, wait_for
from tests.ports import free_port


class Serve(Protocol):
    def __call__(self, guarded: bool = True) -> tuple[MilvusServer, MilvusClient]: ...


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start a server of this test's own."""
    started: list[Launched] = []

    def start(*flags: str, **environment: str) -> Launched:
        started.append(Launched(tmp_path / "data", *flags, **environment))
        return started[-1].start()

    yield start
    for launched in started:
        launched.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A server for all tests that neither stop it nor change who may use it."""
    launched = Launched(tmp_path_factory.mktemp("server") / "data").start()
    yield launched
    launched.close()


@pytest.fixture
def client(server: Launched) -> MilvusClient:
    return server.client()


@pytest.fixture
def collection(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return f"c_{abs(hash(request.node.nodeid))}"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """The launcher's server inside this process, where a test can reach into it."""
    stopping = threading.Event()
    running: list[threading.Thread] = []

    def start(guarded: bool = True) -> tuple[MilvusServer, MilvusClient]:
        port, cores = free_port(), Cores()
        credentials = Credentials(
            token_sha256=fingerprint(TOKEN), control_sha256=fingerprint(CONTROL)
        )
        server = MilvusServer(
            tmp_path / "data",
            port=port,
            cores=cores,
            wanted_cores=cores.most,
            credentials=credentials,
            stopping=stopping,
            guarded=guarded,
        )
        running.append(threading.Thread(target=server.run))
        running[0].start()
        wait_for(lambda: server.health()["ready"])
        return server, MilvusClient(f"http://127.0.0.1:{port}", token=TOKEN)

    yield start
    stopping.set()
    running[0].join(60)
