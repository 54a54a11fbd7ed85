"""Launchers and drivers for tests; every process they start is ended by its pid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from tests.drivers.launched import Launched


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
