"""When a request has arrived: decided from bytes and times alone."""

from __future__ import annotations

import pytest
from django.conf import settings

from vbase_console.web_server.reception import (
    CHUNK_OVERHEAD_BYTES,
    GRACE_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Reception,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\nA;x=y\r\n0123456789\r\n"
)
COMPLETE = {
    "without a body": GET,
    "with a body": POST,
    "with another spelling": POST.replace(b"Content-Length: ", b"content-length:"),
    "chunked": CHUNKED + b"0\r\n\r\n",
    "chunked with a trailer": CHUNKED + b"0\r\nX-A: b\r\n\r\n",
}


def received(*parts: bytes) -> Reception:
    reception = Reception(0)
    for part in parts:
        reception.feed(part)
    return reception


@pytest.mark.parametrize("request_bytes", COMPLETE.values(), ids=COMPLETE)
def test_a_request_is_ready_with_its_last_byte(request_bytes: bytes) -> None:
    reception = Reception(0)
    for at in range(len(request_bytes)):
        assert not reception.is_ready
        reception.feed(request_bytes[at : at + 1])
    assert (reception.is_ready, reception.is_cut) == (True, False)


@pytest.mark.parametrize("request_bytes", COMPLETE.values(), ids=COMPLETE)
def test_a_request_that_comes_at_once_is_ready_with_what_follows(request_bytes: bytes) -> None:
    assert received(request_bytes + GET).is_ready


def test_a_body_that_is_declared_too_large_is_not_waited_for() -> None:
    head = f"POST / HTTP/1.1\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    assert received(head).is_cut


def test_a_chunked_body_is_cut_when_it_is_too_large() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    parts = [head] + [chunk] * ((MAX_BODY_BYTES + CHUNK_OVERHEAD_BYTES) // 65536 + 1)
    assert received(*parts).is_cut


@pytest.mark.parametrize("head", [b"x" * (MAX_HEAD_BYTES + 1), b"GET / HTTP/1.1\nHost: a\n\n"])
def test_a_head_that_never_ends_is_not_waited_for(head: bytes) -> None:
    assert received(head).is_cut


def test_a_line_that_is_cut_between_its_two_end_bytes_is_no_bare_line_feed() -> None:
    assert not received(b"GET / HTTP/1.1\r", b"\nHost: a\r", b"\n").is_ready


def test_what_is_no_chunk_is_left_to_the_parser() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert received(head, b"zz\r\n").is_ready


def test_a_client_that_waits_for_a_word_is_noticed() -> None:
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    assert received(head).wants_continue


def test_the_deadline_moves_with_what_arrives() -> None:
    assert received(b"x" * 5000).deadline == GRACE_SECONDS + 10


def test_the_console_accepts_no_larger_body_than_the_web_receives() -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == MAX_BODY_BYTES
