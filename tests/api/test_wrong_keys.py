"""Wrong API keys are counted, limited per address and logged; a right one is always accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.test import Client

from tests.api.client import Api, Said
from tests.tasks.together import together
from vbase_console.organizations import rejected_keys
from vbase_console.organizations.rejected_keys import INTERVAL_SECONDS, RejectedKeys

pytestmark = pytest.mark.django_db
LIMIT = 60


def wrong(address: str = "192.0.2.1", times: int = 1) -> Said:
    api = Api("wrong.key", Client(REMOTE_ADDR=address))
    return [api.get("/me") for _ in range(times)][-1]


class Interval:
    """Rejected keys with a clock and a timer of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Callable[[], None]] = []
        self.keys = RejectedKeys(lambda: self.now, lambda _, end: self.timers.append(end))

    def add(self, address: str = "192.0.2.1", times: int = 1) -> float | None:
        return [self.keys.add(address) for _ in range(times)][-1]


def test_a_few_wrong_keys_are_answered_401() -> None:
    assert wrong(times=LIMIT).status == 401


def test_more_are_answered_429_and_when_to_try_again() -> None:
    said = wrong(times=LIMIT + 1)
    assert (said.status, said.code) == (429, "RESOURCE_EXHAUSTED")
    assert 1 <= int(said.header("Retry-After") or 0) <= INTERVAL_SECONDS
    assert "Send a valid key" in said.body["response"]["message"]


def test_a_right_key_is_accepted_from_an_address_that_sent_wrong_ones(api: Api) -> None:
    wrong("127.0.0.1", times=LIMIT + 1)
    assert api.get("/me").status == 200


def test_a_request_without_a_key_does_not_count() -> None:
    assert [Api(None).get("/me").status for _ in range(LIMIT + 1)][-1] == 401


def test_another_address_is_not_concerned() -> None:
    wrong(times=LIMIT + 1)
    assert wrong("192.0.2.2").status == 401


def test_a_network_of_ipv6_is_one_address() -> None:
    for number in range(LIMIT):
        wrong(f"2001:db8::{number:x}")
    assert [wrong(each).status for each in ("2001:db8::ffff", "2001:db8:0:1::1")] == [429, 401]


def test_the_address_is_the_one_that_a_trusted_proxy_names(settings: object) -> None:
    settings.TRUSTED_PROXIES = 1  # type: ignore[attr-defined]

    def through_the_proxy(client: str) -> int:
        return Api("wrong.key", Client(HTTP_X_FORWARDED_FOR=client)).get("/me").status

    many = [through_the_proxy("198.51.100.1") for _ in range(LIMIT + 1)]
    assert (many[-1], through_the_proxy("198.51.100.2")) == (429, 401)


def test_a_right_key_costs_one_query_however_many_were_wrong(
    api: Api, django_assert_num_queries: Callable[[int], object]
) -> None:
    api.get("/me")
    wrong("127.0.0.1", times=LIMIT + 1)
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        api.get("/me")


def test_the_count_begins_anew_with_the_next_interval() -> None:
    interval = Interval()
    interval.add(times=LIMIT + 1)
    interval.timers.pop()()
    assert interval.add() is None


def test_an_interval_is_logged_once_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    interval = Interval()
    interval.add(times=1000)
    interval.add("192.0.2.2")
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        interval.timers.pop()()
    assert [record.getMessage() for record in caplog.records] == [
        "wrong API keys: 1001 in 60 s from 2 addresses, most from 192.0.2.1 (1000), 192.0.2.2 (1)"
    ]
    assert interval.timers == []


def test_the_limit_is_logged_when_it_is_reached(caplog: pytest.LogCaptureFixture) -> None:
    Interval().add(times=1000)
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1: more than 60 wrong API keys, answering 429"
    ]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected_keys, "MAX_ADDRESSES", 3)
    interval = Interval()
    for number in range(10):
        interval.add(f"192.0.2.{number}")
    assert len(interval.keys._counts) == 3


def test_many_threads_lose_no_count() -> None:
    interval = Interval()
    together(8, lambda _: interval.add(times=50))
    assert interval.keys._total == 400
