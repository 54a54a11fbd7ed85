"""Responses without a body. Django's test client removes the body of HEAD by itself."""

from __future__ import annotations

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from vbase_console.core.middleware import HeadMiddleware


class Archive:
    def __init__(self) -> None:
        self.pieces = iter([b"piece"])
        self.is_closed = False

    def __iter__(self) -> Archive:
        return self

    def __next__(self) -> bytes:
        return next(self.pieces)

    def close(self) -> None:
        self.is_closed = True


def body_of(response: HttpResponseBase, *, method: str) -> bytes:
    answer = HeadMiddleware(lambda request: response)(RequestFactory().generic(method, "/"))
    return b"".join(answer)


@pytest.mark.django_db
def test_head_reads_nothing_of_a_stream_and_closes_it() -> None:
    archive = Archive()
    response = StreamingHttpResponse(archive, headers={"Content-Length": "5"})
    assert body_of(response, method="HEAD") == b""
    assert response.headers["Content-Length"] == "5"
    response.close()
    assert (list(archive.pieces), archive.is_closed) == ([b"piece"], True)


def test_head_of_a_page_has_no_body() -> None:
    assert body_of(HttpResponse("page"), method="HEAD") == b""


def test_other_methods_keep_their_body() -> None:
    assert body_of(StreamingHttpResponse(Archive()), method="GET") == b"piece"
