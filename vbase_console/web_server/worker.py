"""Gunicorn worker whose threads handle complete requests only.

The `gthread` worker passes a connection to a thread after its first byte, and the thread waits for
the rest, so that a few slow clients block the web. In this worker the event loop receives requests,
with limits on time, connections and bytes. It also waits for the clients of closed connections.
See docs/adr/0016-requests-are-received-before-a-thread.md.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from vbase_console.web_server.reception import Reception

RECEIVE_BYTES = 64 * 1024
MAX_RECEIVED_BYTES = 64 * 1024 * 1024
"""Limit per process, for all requests that are received, waiting or being answered."""
SEND_STALL_SECONDS = 10
"""Time after which a thread gives up a response that the client does not read."""
LINGER_SECONDS = 5.0
MAX_LINGER_BYTES = 32 * 1024 * 1024
"""Limits for discarding input after a response, because a sending client cannot read it yet."""
CHECK_INTERVAL_SECONDS = 0.5
LOG_INTERVAL_SECONDS = 60.0
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class ReceivedRequestParser(RequestParser):  # type: ignore[misc]
    """Parse one request from bytes that have been received; never waits for more."""

    def __init__(self, cfg: Any, reception: Reception, client: Any) -> None:
        super().__init__(cfg, [bytes(reception.data)], client)
        self._is_cut = reception.is_cut

    def __next__(self) -> Any:
        request = super().__next__()
        request._expected_100_continue = False  # sent while the body was received
        if self._is_cut:
            request.force_close()
        return request


class ClientConnection(TConn):  # type: ignore[misc]
    reception: Reception
    lingered_bytes = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.initialized = True
        stall = struct.pack("ll", SEND_STALL_SECONDS, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)


class ReceivingWorker(ThreadWorker):  # type: ignore[misc]
    wsgi: Application

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Insertion order is age: the first one is the oldest.
        self._receiving: dict[ClientConnection, None] = {}
        self._lingering: dict[ClientConnection, None] = {}
        self._received_bytes = 0
        self._checked_at = self._logged_at = 0.0
        self._given_up = 0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise ValueError("This worker does not speak TLS. Put a proxy with TLS in front of it.")

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = closing_unread(self.wsgi)

    # -- receiving ---------------------------------------------------------------------------------
    #
    # One round of the event loop may close a connection that has a later event in the same round.
    # Every callback therefore begins with the question if its connection is still in its table.

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        conn = ClientConnection(self.cfg, sock, client, listener.getsockname())
        self._receive(conn)
        if self.nr_conns >= self.worker_connections:
            self._evict()

    def on_client_socket_readable(self, conn: ClientConnection, client: socket.socket) -> None:
        """Receive the next request of a connection that was kept alive."""
        if conn not in self.keepalived_conns:
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def _receive(self, conn: ClientConnection, first: bytes = b"") -> None:
        conn.reception = Reception(time.monotonic())
        conn.sock.setblocking(False)
        self._receiving[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))
        if first:
            self._feed(conn, first)
        else:
            self._on_readable(conn, conn.sock)  # most clients have already sent data

    def _on_readable(self, conn: ClientConnection, sock: socket.socket) -> None:
        if conn not in self._receiving:
            return
        try:
            data = sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._feed(conn, data)
        else:
            self._drop(conn)

    def _feed(self, conn: ClientConnection, data: bytes) -> None:
        conn.reception.feed(data)
        self._received_bytes += len(data)
        if conn.reception.is_ready:
            self._forget(conn)
            self.enqueue_req(conn)
        elif conn.reception.wants_continue:
            conn.reception.wants_continue = False
            _send(conn, CONTINUE)
        if self._received_bytes > MAX_RECEIVED_BYTES:
            self._evict()

    # -- answering ---------------------------------------------------------------------------------

    def handle(self, conn: ClientConnection) -> Any:
        conn.parser = ReceivedRequestParser(self.cfg, conn.reception, conn.client)
        return super().handle(conn)

    def finish_request(self, conn: ClientConnection, fs: Future[Any]) -> None:
        self._received_bytes -= len(conn.reception.data)
        try:
            if fs.cancelled() or not fs.result():
                self._linger(conn)
                return
            if following := conn.parser.unreader.take_buffered():
                self._receive(conn, following)
                return
            conn.sock.setblocking(False)
            conn.set_timeout()
            if not self.alive:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
            self.keepalived_conns.append(conn)
            on_readable = partial(self.on_client_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, on_readable)
        except Exception:
            self.log.exception("connection closed after an unexpected error")
            self._close(conn)

    # -- ending ------------------------------------------------------------------------------------

    def _linger(self, conn: ClientConnection) -> None:
        """Shut down sending and wait in the event loop until the client closes, because closing a
        socket with unread bytes resets the connection and loses the response.
        """
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._lingering[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_lingering, conn))

    def _on_lingering(self, conn: ClientConnection, sock: socket.socket) -> None:
        if conn not in self._lingering:
            return
        try:
            data = sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        conn.lingered_bytes += len(data)
        if not data or conn.lingered_bytes > MAX_LINGER_BYTES:
            self._end_lingering(conn)

    def _end_lingering(self, conn: ClientConnection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def murder_pending(self) -> None:
        """End connections past their deadline. Called in every round of the event loop."""
        now = time.monotonic()
        if now - self._checked_at < CHECK_INTERVAL_SECONDS:
            return
        self._checked_at = now
        for conn in [conn for conn in self._receiving if conn.reception.deadline < now]:
            self._give_up(conn)
        if not self.alive:
            for conn in [conn for conn in self._receiving if not conn.reception.data]:
                self._drop(conn)
        for conn in [conn for conn in self._lingering if conn.timeout < now]:
            self._end_lingering(conn)
        if self._given_up and now - self._logged_at > LOG_INTERVAL_SECONDS:
            self.log.warning("%s connections closed: incomplete requests", self._given_up)
            self._logged_at, self._given_up = now, 0

    def _evict(self) -> None:
        """Close the oldest connection that is lingering, receiving or idle, in this order."""
        if self._lingering:
            self._end_lingering(next(iter(self._lingering)))
        elif self._receiving:
            self._give_up(next(iter(self._receiving)))
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)

    def _give_up(self, conn: ClientConnection) -> None:
        self._given_up += 1
        if conn.reception.data:
            _send(conn, TIMED_OUT)
        self._drop(conn)

    def _drop(self, conn: ClientConnection) -> None:
        self._received_bytes -= len(conn.reception.data)
        self._forget(conn)
        self._close(conn)

    def _forget(self, conn: ClientConnection) -> None:
        del self._receiving[conn]
        self.poller.unregister(conn.sock)

    def _close(self, conn: ClientConnection) -> None:
        self.nr_conns -= 1
        conn.close()


def closing_unread(application: Application) -> Application:
    """Close the connection after a response to a request whose body was not read."""

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(*args: Any) -> Any:
            if _is_unread(environ["wsgi.input"].reader):
                start_response.__self__.force_close()  # type: ignore[attr-defined]
            return start_response(*args)

        return application(environ, start)

    return answer


def _is_unread(reader: object) -> bool:
    if isinstance(reader, ChunkedReader):
        return reader.parser is not None
    return isinstance(reader, LengthReader) and reader.length > 0


def _send(conn: ClientConnection, data: bytes) -> None:
    """Send a few bytes without waiting. They are dropped if the socket buffer is full."""
    with contextlib.suppress(OSError):
        conn.sock.send(data)
