"""Slow and rude clients of a real web, without a proxy in front."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse

import httpx
import pytest

from tests.live import Api, Console, wait_for
from vbase_console.supervisor.programs import WEB_CONNECTIONS, WEB_THREADS, WEB_WORKERS
from vbase_console.web_server.reception import MAX_BODY_BYTES

HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
HALF_A_BODY = (
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nusername=a"
)
MANY = 5 * WEB_WORKERS * WEB_THREADS
ANSWER_SECONDS = 10
Open = Callable[[], socket.socket]


@pytest.fixture
def opened(pressed: Console) -> Iterator[Open]:
    """Connections that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def open_one() -> socket.socket:
            address = ("127.0.0.1", pressed.port)
            return stack.enter_context(socket.create_connection(address, timeout=60))

        yield open_one


def answer_on(connection: socket.socket) -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response, response.read()


def is_served(console: Console) -> bool:
    url = f"{console.url}/v1/vbase/healthz"
    return httpx.get(url, timeout=ANSWER_SECONDS).status_code == 200


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["silence", "head", "body"])
def test_clients_that_send_half_a_request_keep_no_other_waiting(
    pressed: Console, opened: Open, sent: bytes
) -> None:
    for _ in range(MANY):
        opened().sendall(sent)
    assert is_served(pressed)


def test_clients_that_trickle_keep_no_other_waiting(pressed: Console, opened: Open) -> None:
    slow, ended = [opened() for _ in range(MANY)], threading.Event()

    def trickle() -> None:
        while not ended.wait(0.1):
            for connection in slow:
                connection.sendall(b"X-A: b\r\n")

    for connection in slow:
        connection.sendall(HALF_A_HEAD)
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert all(is_served(pressed) for _ in range(5))
    finally:
        ended.set()
        thread.join()


def test_a_request_that_does_not_arrive_in_time_is_answered_408(opened: Open) -> None:
    connection = opened()
    connection.sendall(HALF_A_HEAD)
    response, _ = answer_on(connection)
    assert (response.status, response.getheader("Connection")) == (408, "close")


def test_a_slow_honest_client_is_answered(opened: Open) -> None:
    connection = opened()
    for byte in b"GET /v1/vbase/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n":
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.02)
    assert answer_on(connection)[0].status == 200


def test_more_connections_than_there_may_be_make_room_for_new_ones(
    pressed: Console, opened: Open
) -> None:
    for _ in range(WEB_WORKERS * WEB_CONNECTIONS + 50):
        opened().sendall(HALF_A_HEAD)
    assert is_served(pressed)


def test_clients_that_do_not_close_keep_no_other_waiting(pressed: Console, opened: Open) -> None:
    for _ in range(MANY):
        opened().sendall(
            b"GET /v1/vbase/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
    assert is_served(pressed)


def test_a_connection_is_kept_alive_for_more_than_a_minute(pressed: Console) -> None:
    connection = HTTPConnection("127.0.0.1", pressed.port, timeout=60)
    for pause in (0, 3):
        threading.Event().wait(pause)
        connection.request("GET", "/v1/vbase/healthz")
        assert connection.getresponse().read()
    connection.close()
    (line,) = {" ".join(each.cmdline()) for each in pressed.processes_like("gunicorn")}
    assert "--keep-alive 75" in line


REFUSED = {
    "401": ("/v1/vbase/clusters", "application/json", 401),
    "404": ("/v1/nothing", "application/json", 404),
    "405": ("/v1/vbase/healthz", "application/json", 405),
    "415": ("/sign-in", "application/json", 403),
}


@pytest.mark.parametrize(("path", "kind", "status"), REFUSED.values(), ids=REFUSED)
def test_a_body_that_is_refused_unread_closes_the_connection(
    opened: Open, path: str, kind: str, status: int
) -> None:
    connection = opened()
    hidden = b"GET /v1/vbase/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connection.sendall(request(path, kind, len(hidden)) + hidden)
    response, _ = answer_on(connection)
    assert (response.status, response.getheader("Connection")) == (status, "close")
    assert connection.recv(1) == b""


def test_a_body_that_is_too_large_is_refused_without_being_sent(api: Api, opened: Open) -> None:
    connection = opened()
    key = f"Authorization: Bearer {api.key}"
    connection.sendall(request("/v1/vbase/clusters", "application/json", MAX_BODY_BYTES + 1, key))
    response, body = answer_on(connection)
    assert (response.status, response.getheader("Connection")) == (400, "close")
    assert "too large" in json.loads(body)["response"]["message"]


def test_a_client_that_still_sends_reads_why_it_was_refused(pressed: Console, opened: Open) -> None:
    connection, size = opened(), 8 * MAX_BODY_BYTES
    connection.sendall(request("/v1/vbase/clusters", "application/json", size))
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"x" * size)
    assert answer_on(connection)[0].status == 401


def test_a_body_that_was_read_leaves_the_connection_usable(pressed: Console, api: Api) -> None:
    with httpx.Client(base_url=f"{pressed.url}/v1/vbase", timeout=60) as client:
        headers = {"Authorization": f"Bearer {api.key}"}
        answers = [client.post("/clusters", json={"no": 1}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert {answer.headers["Connection"] for answer in answers} == {"keep-alive"}


def test_a_chunked_body_is_accepted(pressed: Console, api: Api) -> None:
    headers = {
        "Authorization": f"Bearer {api.key}",
        "Content-Type": "application/json",
    }
    body = (part for part in (b'{"name": ', b'"chunked"}'))
    url = f"{pressed.url}/v1/vbase/clusters"
    assert httpx.post(url, content=body, headers=headers, timeout=60).status_code == 200


def test_two_requests_sent_at_once_are_both_answered(opened: Open) -> None:
    connection = opened()
    connection.sendall(b"GET /v1/vbase/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    received = b""

    def both() -> bool:
        nonlocal received
        received += connection.recv(65536)
        return received.count(b"HTTP/1.1 200") == 2

    wait_for(both)


def test_a_client_that_waits_for_a_word_gets_it_once(api: Api, opened: Open) -> None:
    connection, body = opened(), b'{"name": "patient"}'
    more = f"Expect: 100-continue\r\nAuthorization: Bearer {api.key}"
    connection.sendall(request("/v1/vbase/clusters", "application/json", len(body), more))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert connection.recv(12) == b"HTTP/1.1 200"


def request(path: str, kind: str, length: int, *more: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *more)
    return "\r\n".join((*lines, f"Content-Length: {length}", "\r\n")).encode()
