from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.api.fixtures import api, key_with, stranger, without_key
from tests.rpc.client import Caller
from vbase_console.rpc.server import Server

__all__ = ["api", "key_with", "stranger", "without_key"]


class Running:
    """A server in a thread of the test's process."""

    def __init__(self) -> None:
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.server = Server("127.0.0.1", 0)
        running = asyncio.create_task(self.server.run())
        await asyncio.sleep(0)  # the server begins to listen
        self._is_up.set()
        await running

    def start(self) -> Running:
        self._thread.start()
        assert self._is_up.wait(60)
        return self

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def begin_to_stop(self) -> None:
        self._loop.call_soon_threadsafe(self.server.stop)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.begin_to_stop()
        self._thread.join(60)
        # A thread that reads after its test may not close its connection any more.
        for threads in (self.server._turns._threads, self.server._poll_thread):
            threads.shutdown(wait=True)


@pytest.fixture
def server(transactional_db: None) -> Iterator[Running]:
    running = Running().start()
    yield running
    running.stop()


@pytest.fixture
def channel(server: Running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def caller(channel: grpc.Channel, api_key: str) -> Caller:
    return Caller(channel, api_key)


@pytest.fixture
def caller_with(channel: grpc.Channel) -> Callable[[str | None], Caller]:
    return lambda key: Caller(channel, key)
