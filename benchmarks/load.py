"""A client that costs next to nothing: prepared bytes over a few connections that stay open."""

from __future__ import annotations

import socket
import threading
import time

CONNECTIONS = 4
TIMEOUT_SECONDS = 30


class Connections:
    """Use as a context manager; `ask` may be called again and again."""

    def __init__(self, host: str, port: int, headers: dict[str, str]) -> None:
        self._address = (host, port)
        lines = {"Host": f"{host}:{port}", "Connection": "keep-alive"} | headers
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Connections:
        for _ in range(CONNECTIONS):
            opened = socket.create_connection(self._address, timeout=TIMEOUT_SECONDS)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(opened)
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._sockets:
            opened.close()

    def ask(self, path: str, seconds: float) -> tuple[int, float]:
        """Return the number of 200 responses over all connections, and the elapsed time."""
        request = f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode()
        counts = [0] * len(self._sockets)
        began = time.perf_counter()
        threads = [
            threading.Thread(target=_ask, args=(opened, request, began + seconds, counts, place))
            for place, opened in enumerate(self._sockets)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not all(counts):
            raise SystemExit(f"{path} was not answered with 200.")
        return sum(counts), time.perf_counter() - began


def _ask(
    opened: socket.socket, request: bytes, until: float, counts: list[int], place: int
) -> None:
    while time.perf_counter() < until:
        opened.sendall(request)
        if not _answered_well(opened):
            counts[place] = 0
            return
        counts[place] += 1


def _answered_well(opened: socket.socket) -> bool:
    """Read one whole answer; every answer here says its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := opened.recv(65536)):
            return False
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    left = length - len(body)
    while left > 0:
        left -= len(opened.recv(65536))
    return head.startswith(b"HTTP/1.1 200")
