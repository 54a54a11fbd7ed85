"""One round of the event loop: events of connections that the same round has closed."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from gunicorn.config import Config

from vbase_console.web_server.worker import ClientConnection, ReceivingWorker


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def worker(listener: socket.socket) -> Iterator[ReceivingWorker]:
    """A worker of two connections, without threads, whose event loop the test turns."""
    cfg = Config()
    cfg.set("worker_connections", 2)
    made = ReceivingWorker(0, 0, [listener], None, 30, cfg, Mock())
    with selectors.DefaultSelector() as made.poller:
        made.poller.register(listener, selectors.EVENT_READ, made.accept)
        yield made
        for connection in list(made._receiving):
            made._drop(connection)
    made.tmp.close()


def connected(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=5)


def turn(worker: ReceivingWorker) -> None:
    worker.wait_for_and_dispatch_events(5)


def only(connections: dict[ClientConnection, None]) -> ClientConnection:
    (connection,) = connections
    return connection


def test_a_connection_that_the_same_round_closed_does_not_end_the_worker(
    worker: ReceivingWorker, listener: socket.socket
) -> None:
    with connected(listener) as oldest:
        turn(worker)
        with connected(listener) as newest:
            oldest.sendall(b"G")
            turn(worker)
            assert only(worker._receiving).client == newest.getsockname()


def test_late_events_of_closed_connections_change_nothing(
    worker: ReceivingWorker, listener: socket.socket
) -> None:
    with connected(listener):
        turn(worker)
        closed = only(worker._receiving)
        worker._drop(closed)
        before = worker.nr_conns, worker._received_bytes
        for callback in (
            worker._on_readable,
            worker._on_lingering,
            worker.on_client_socket_readable,
        ):
            callback(closed, closed.sock)
        assert (worker.nr_conns, worker._received_bytes) == before == (0, 0)
