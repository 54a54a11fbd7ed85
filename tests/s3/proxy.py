"""A proxy before the S3 server that records every request and does harm where it is told to."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

CHUNK = 64 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    size: int

    @property
    def name(self) -> str:
        """The last name of the object's key."""
        return urlsplit(self.path).path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Harm:
    """Fault of one request and its answer. Without one the request is passed on."""

    answers: bytes = b""
    """Sent instead of the server's answer."""
    reaches_server: bool = True
    upload_ends_after: float = 1.0
    """The fraction of the body after which the connection is cut."""
    download_ends_after: float = 1.0
    announces_more: int = 0
    """Added to the length that the answer announces."""
    alters_upload: bool = False
    alters_download: bool = False
    waits_for: threading.Event | None = None


HARMLESS = Harm()
Plan = Callable[[Request], Harm]


def status(code: int, error: str = "SlowDown", message: str = "Please wait.", **more: Any) -> Harm:
    """The server answers with an error."""
    body = f"<Error><Code>{error}</Code><Message>{message}</Message></Error>".encode()
    head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return Harm(answers=head.encode() + body, **more)


class Proxy:
    def __init__(self, server: str) -> None:
        address = urlsplit(server)
        self.server = str(address.hostname), int(address.port or 0)
        self.endpoint = ""
        self.requests: list[Request] = []
        self.closed_early = threading.Event()
        """A client closed its connection before it had an answer."""
        self.plan: Plan = lambda request: HARMLESS

    def run(self, listener: socketserver.BaseServer) -> None:
        listener.serve_forever(poll_interval=0.05)

    def handle(self, client: socket.socket) -> None:
        head, rest = _head(client)
        if not head:
            return
        request = _request(head)
        self.requests.append(request)
        harm = self.plan(request)
        body = _body(client, rest, int(request.size * harm.upload_ends_after))
        if harm.upload_ends_after < 1:
            return
        if harm.alters_upload and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        answer = self._asked(head, body) if harm.reaches_server else b""
        if harm.waits_for is not None and not self._waited(client, harm.waits_for):
            return
        client.sendall(harm.answers or _harmed(answer, harm))

    def _asked(self, head: bytes, body: bytes) -> bytes:
        with socket.create_connection(self.server, timeout=30) as server:
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
            return b"".join(iter(lambda: server.recv(CHUNK), b""))

    def _waited(self, client: socket.socket, event: threading.Event) -> bool:
        """False if the client is gone before the event."""
        client.settimeout(0.02)
        while not event.is_set():
            try:
                if not client.recv(1, socket.MSG_PEEK):
                    self.closed_early.set()
                    return False
            except TimeoutError:
                continue
        client.settimeout(30)
        return True


@contextlib.contextmanager
def before(server: str) -> Iterator[tuple[Proxy, str]]:
    """The proxy and its address."""
    proxy = Proxy(server)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(30)
            with contextlib.suppress(OSError):
                proxy.handle(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads, allow_reuse_address, request_queue_size = True, True, 64
        block_on_close = False

    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=proxy.run, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy, f"http://127.0.0.1:{listener.server_address[1]}"
        finally:
            listener.shutdown()
            thread.join()


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(CHUNK)
        if not piece:
            return b"", b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    size = int(headers.get("content-length", "0"))
    return Request(method=method, path=path, headers=headers, size=size)


def _body(client: socket.socket, begun: bytes, size: int) -> bytes:
    pieces, got = [begun], len(begun)
    while got < size:
        piece = client.recv(CHUNK)
        if not piece:
            break
        pieces.append(piece)
        got += len(piece)
    return b"".join(pieces)


def _harmed(answer: bytes, harm: Harm) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if harm.announces_more:
        head = _announcing_more(head, harm.announces_more)
    if harm.alters_download and body:
        body = bytes([body[0] ^ 1]) + body[1:]
    return head + b"\r\n\r\n" + body[: int(len(body) * harm.download_ends_after)]


def _announcing_more(head: bytes, more: int) -> bytes:
    def line(text: bytes) -> bytes:
        name, _, value = text.partition(b": ")
        if name.lower() == b"content-length":
            return name + b": " + str(max(0, int(value) + more)).encode()
        return text

    return b"\r\n".join(map(line, head.split(b"\r\n")))
