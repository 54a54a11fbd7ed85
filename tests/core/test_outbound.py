"""HTTP requests to URLs of tenants: to the checked address, without redirects and proxies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vbase_console.core.addresses import (
    AddressError,
    AddressRefused,
    AddressRules,
    HostInvalid,
    NetworkNotAllowed,
    parse_networks,
)
from vbase_console.core.outbound import (
    MAX_ANSWER_BYTES,
    RequestFailed,
    UrlInvalid,
    parse_url,
    send_request,
)

LOOPBACK = AddressRules(
    allowed=parse_networks("VBASE_WEBHOOK_NETWORKS", ["loopback"]), listeners=frozenset()
)
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Answering:
    """Answers every request with the same bytes, and remembers the requests."""

    def __init__(self, answer: bytes | Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536))
                if callable(self._answer):
                    self._answer(connection)
                else:
                    connection.sendall(self._answer)


@pytest.fixture
def serve() -> Iterator[Callable[..., Answering]]:
    servers: list[Answering] = []

    def serve(answer: bytes | Callable[[socket.socket], None] = OK) -> Answering:
        servers.append(Answering(answer))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def test_it_returns_the_status(serve: Callable[..., Answering]) -> None:
    server = serve()
    assert send_request(LOOPBACK, server.url("/hook?a=b"), body=b"{}", headers={"X-A": "1"}) == 204
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /hook?a=b HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}".encode(),
        b"X-A: 1",
        b"Content-Length: 2",
        b"Connection: close",
    ]
    assert body == b"{}"


def test_a_redirect_is_not_followed(serve: Callable[..., Answering]) -> None:
    inner = serve()
    location = f"Location: {inner.url()}".encode()
    server = serve(b"HTTP/1.1 302 Found\r\n" + location + b"\r\n\r\n")
    assert send_request(LOOPBACK, server.url()) == 302
    assert inner.requests == []


def test_a_proxy_of_the_environment_is_not_used(
    serve: Callable[..., Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(), serve()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url())
    assert send_request(LOOPBACK, server.url()) == 204
    assert proxy.requests == []


def test_an_interim_answer_is_passed_over(serve: Callable[..., Answering]) -> None:
    server = serve(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    assert send_request(LOOPBACK, server.url()) == 200


def test_an_endless_interim_answer_is_no_answer(serve: Callable[..., Answering]) -> None:
    """A pattern that tries all ways to split the lines would not end."""
    server = serve(b"HTTP/1.1 103 Early Hints\r\n" + b"a: b\r\n" * 5000)
    with pytest.raises(RequestFailed, match="not with HTTP"):
        send_request(LOOPBACK, server.url())


def test_a_long_answer_is_given_up(serve: Callable[..., Answering]) -> None:
    sent = []

    def flood(connection: socket.socket) -> None:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while len(sent) < 10_000:
                connection.sendall(b"x" * MAX_ANSWER_BYTES)
                sent.append(1)
        except OSError:
            return

    assert send_request(LOOPBACK, serve(flood).url()) == 200
    assert len(sent) < 10_000


def test_an_answer_in_drops_ends_with_the_time(serve: Callable[..., Answering]) -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        try:
            while not ended.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            return

    with pytest.raises(RequestFailed, match="did not answer"):
        send_request(LOOPBACK, serve(drip).url(), seconds=0.3)
    ended.set()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/2 200\r\n", b"HTTP/1.1 999 x\r\n"]
)
def test_another_protocol_is_no_answer(serve: Callable[..., Answering], answer: bytes) -> None:
    with pytest.raises(RequestFailed, match="not with HTTP"):
        send_request(LOOPBACK, serve(answer).url())


def test_a_refused_connection_is_told(serve: Callable[..., Answering]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(RequestFailed, match="refused"):
        send_request(LOOPBACK, f"http://127.0.0.1:{port}/")


def test_the_name_is_looked_up_once(
    serve: Callable[..., Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look-up of a name that changes would lead to an inner server."""
    server, look_ups = serve(), []

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> list[tuple[Any, ...]]:
        address = host if host[0].isdigit() else "127.0.0.1" if not look_ups else "10.0.0.1"
        if not host[0].isdigit():
            look_ups.append(host)
        port = rest[0] if rest else 0
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert send_request(LOOPBACK, server.url(host="changing.example")) == 204
    assert look_ups == ["changing.example"]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://2130706433/", HostInvalid),
        ("http://0x7f.1/", HostInvalid),
        ("http://017700000001/", HostInvalid),
        ("http://[::ffff:127.0.0.1]/", AddressRefused),
        ("http://[64:ff9b::7f00:1]/", AddressRefused),
        ("http://[2002:7f00:1::]/", AddressRefused),
        ("http://169.254.169.254/latest/meta-data", AddressRefused),
        ("http://10.0.0.1/", NetworkNotAllowed),
    ],
)
def test_an_address_that_is_not_allowed_gets_no_request(
    url: str, error: type[AddressError]
) -> None:
    with pytest.raises(error):
        send_request(LOOPBACK, url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://a/", "file:///etc/passwd", "http://", "//a/", "http://user:p@a/"),
        *("http://a/\r\nX: y", "http://a/ b", "http://a:99999/", "http://[::1/", "gopher://a/"),
        "http://a/" + "x" * 2000,
    ],
)
def test_what_is_no_url_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(UrlInvalid):
        parse_url(url)


@pytest.mark.parametrize("header", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"X-A": "ü"}], ids=str)
def test_a_header_cannot_begin_another_one(
    serve: Callable[..., Answering], header: dict[str, str]
) -> None:
    server = serve()
    with pytest.raises(RequestFailed, match="not allowed"):
        send_request(LOOPBACK, server.url(), headers=header)


def test_a_certificate_must_be_valid(serve: Callable[..., Answering]) -> None:
    server = serve()
    with pytest.raises(RequestFailed):
        send_request(LOOPBACK, server.url().replace("http://", "https://"))
