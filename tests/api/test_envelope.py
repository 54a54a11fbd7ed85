from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError

from clusters import services
from tests.api.client import Api, Said
from vbase_console.api import authentication
from vbase_console.api.errors import STATUS_OF, exception_handler, refusal_of
from vbase_console.core.errors import Aborted, ConsoleError, ResourceExhausted, Unavailable

pytestmark = pytest.mark.django_db


def leaves(kind: type[ConsoleError]) -> list[type[ConsoleError]]:
    return [leaf for sub in kind.__subclasses__() for leaf in (leaves(sub) or [sub])]


def test_every_error_of_the_console_has_a_status() -> None:
    assert {kind.code for kind in leaves(ConsoleError)} <= set(STATUS_OF)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_ARGUMENT", 400),
        ("FAILED_PRECONDITION", 400),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("ABORTED", 409),
        ("RESOURCE_EXHAUSTED", 429),
        ("INTERNAL", 500),
        ("UNIMPLEMENTED", 501),
        ("UNAVAILABLE", 503),
    ],
)
def test_codes_become_the_statuses_of_grpc(code: str, status: int) -> None:
    assert STATUS_OF[code] == status


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(Aborted(retry_after_seconds=7), "7"), (ResourceExhausted(), "10"), (Unavailable(), "5")],
)
def test_it_says_when_to_try_again(error: ConsoleError, seconds: str) -> None:
    assert refusal_of(error).headers["Retry-After"] == seconds


@pytest.mark.parametrize(
    "path", ["/v1/", "/v1/vbase", "/v1/vbase/a/b/c/d", "/v1/vbase/me/", "/v1/x"]
)
def test_an_address_that_leads_nowhere_is_said_in_the_envelope(without_key: Api, path: str) -> None:
    said = without_key.get(path)
    assert (said.status, said.code) == (404, "NOT_FOUND")
    assert said.body["response"]["success"] is False


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_a_wrong_method_is_said_in_the_envelope(api: Api, method: str) -> None:
    said = api.send(method, "/me")
    assert (said.status, said.code) == (405, "UNIMPLEMENTED")
    assert said.header("Allow") == "GET"


def test_a_wrong_method_is_answered_with_the_methods_that_are_possible(api: Api) -> None:
    message = api.get("/clusters")["response"]["message"]
    assert message == "GET is not possible here, only POST. See /api/docs/."


def test_a_body_of_another_kind_is_refused(api: Api) -> None:
    said = api.raw("/clusters", "name=a", content_type="application/x-www-form-urlencoded")
    assert (said.status, said.code) == (415, "INVALID_ARGUMENT")


def test_whatever_is_asked_for_the_answer_is_json(api: Api) -> None:
    said = api.send("GET", "/me", Accept="text/html")
    assert said.header("Content-Type") == "application/json"


def test_an_error_of_ours_shows_no_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(services, "create_cluster", broken)
    said = api.post("/clusters", name="a")
    assert (said.status, said.code) == (500, "INTERNAL")
    assert "secret" not in str(said.body)
    assert "secret" in caplog.text


def test_a_database_that_does_not_answer_is_said_to_be_unavailable() -> None:
    refusal = refusal_of(OperationalError("host=10.0.0.1 refused"))
    assert (refusal.status, refusal.code) == (503, "UNAVAILABLE")
    assert "10.0.0.1" not in refusal.message


@pytest.mark.parametrize("ask", [lambda api: api.get("/me"), lambda api: api.post("/clusters")])
def test_nobody_is_told_of_an_error_of_ours_where_the_database_cannot_say_who_asks(
    api: Api, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Api], Said]
) -> None:
    def away(*arguments: object) -> None:
        raise OperationalError("host=10.0.0.1 refused")

    monkeypatch.setattr(authentication, "principal_of_key", away)
    said = ask(api)
    assert (said.status, said.code) == (503, "UNAVAILABLE")


def test_a_host_that_is_not_allowed_is_refused_with_the_setting_that_allows_it(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    said = api.send("GET", "/nowhere", Host="evil.example.com")
    assert (said.status, said.code) == (400, "INVALID_ARGUMENT")
    assert "VBASE_ALLOWED_HOSTS" in said["response"]["message"]
    assert [record.getMessage() for record in caplog.records] == [
        "host 'evil.example.com' refused, it is not in VBASE_ALLOWED_HOSTS"
    ]


def test_the_framework_is_told_of_our_handler() -> None:
    from rest_framework.settings import api_settings

    assert api_settings.EXCEPTION_HANDLER is exception_handler


def broken(*arguments: object, **options: object) -> None:
    raise RuntimeError("secret")
