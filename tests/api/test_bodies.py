from __future__ import annotations

import contextlib
import json
from io import BytesIO

import pytest
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.api.parsers import MAX_NESTING, read_object
from vbase_console.core.errors import InvalidArgument

HOSTILE = {
    "a list": "[]",
    "a string": '"name"',
    "a number": "5",
    "null": "null",
    "true": "true",
    "no JSON": "{name: 1}",
    "cut off": '{"name": "a"',
    "two objects": "{}{}",
    "not a number": '{"name": NaN}',
    "infinity": '{"name": -Infinity}',
    "a name twice": '{"name": "a", "name": "b"}',
    "a name twice inside": '{"resourceConfig": {"version": "1", "version": "2"}}',
    "half a pair": '{"name": "\\ud800"}',
    "half a pair as a name": '{"\\ud800": 1}',
    "too deep": '{"a":' * 40 + "1" + "}" * 40,
    "far too deep": "[" * 200_000,
    "too long a number": '{"name": ' + "9" * 5000 + "}",
    "not UTF-8": b'{"name": "\xff"}',
    "5 MB": '{"name": "' + "x" * 5 * 1024 * 1024 + '"}',
    "5 MB of a list": "[" + "1," * 2_500_000 + "1]",
}


@pytest.mark.django_db
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["application/json", ""])
def test_it_is_refused_with_a_reason(api: Api, body: str | bytes, kind: str) -> None:
    said = api.raw("/clusters", body, content_type=kind)
    assert (said.status, said.code) == (400, "INVALID_ARGUMENT")
    assert said.body["response"]["message"]


@pytest.mark.django_db
def test_a_body_without_a_type_is_json(api: Api) -> None:
    assert api.raw("/clusters", '{"name": "a"}', content_type="").status == 200


@pytest.mark.django_db
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_no_json_breaks_it(api: Api, value: object) -> None:
    said = api.raw("/clusters", json.dumps({"name": "a", "resourceConfig": value, "labels": value}))
    assert said.status in (200, 400, 409)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    request = RequestFactory().generic("POST", "/", raw, content_type="application/json")
    with contextlib.suppress(InvalidArgument):
        assert isinstance(read_object(request), dict)


def test_a_chunked_body_is_read_where_the_server_ends_it() -> None:
    request = chunked(b'{"name": "a"}', terminated=True)
    assert read_object(request) == {"name": "a"}


def test_a_large_chunked_body_is_refused_as_any_other() -> None:
    with pytest.raises(InvalidArgument, match="too large"):
        read_object(chunked(b"x" * 5 * 1024 * 1024, terminated=True))


def test_a_chunked_body_without_an_end_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Content-Length"):
        read_object(chunked(b"{}", terminated=False))


def test_as_deep_as_is_said_is_deep_enough() -> None:
    body = '{"a":' * (MAX_NESTING - 1) + "1" + "}" * (MAX_NESTING - 1)
    request = RequestFactory().generic("POST", "/", body, content_type="application/json")
    assert read_object(request)


@pytest.mark.django_db
def test_a_list_is_refused_without_words_of_a_programming_language(api: Api) -> None:
    for sent in ("vc-1", {}, 5):
        refused = api.post("/rollouts", version="1", clusterIds=sent)
        assert refused.field_errors == {"clusterIds": ["Give a list."]}


@pytest.mark.django_db
def test_nothing_is_made_of_what_is_refused(api: Api) -> None:
    for body in HOSTILE.values():
        api.raw("/clusters", body)
    assert not Cluster.objects.exists()


def chunked(body: bytes, *, terminated: bool):  # type: ignore[no-untyped-def]
    request = RequestFactory().post("/", content_type="application/json")
    request.META |= {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": terminated,
        "wsgi.input": BytesIO(body),
    }
    return request
