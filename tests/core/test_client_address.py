"""The address of a client behind any number of proxies, independent of forged headers."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from tests.conftest import PASSWORD
from vbase_console.core.client_address import source_of
from vbase_console.organizations.models import AuditEntry

PROXY, CLIENT, FORGED = "10.0.0.1", "203.0.113.7", "198.51.100.9"


def told(forwarded: str | None, peer: str = PROXY) -> str | None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return source_of(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.mark.parametrize("forwarded", [None, FORGED, f"{FORGED}, {CLIENT}"])
def test_it_believes_no_header_where_no_proxy_is_trusted(forwarded: str | None) -> None:
    assert told(forwarded) == PROXY


@pytest.mark.parametrize(
    ("proxies", "forwarded", "source"),
    [
        (1, CLIENT, CLIENT),
        (1, f"{FORGED}, {CLIENT}", CLIENT),
        (1, f"{FORGED},{FORGED} , {CLIENT}", CLIENT),
        (2, f"{CLIENT}, 10.0.0.2", CLIENT),
        (2, f"{FORGED}, {CLIENT}, 10.0.0.2", CLIENT),
        (1, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_it_takes_what_the_outermost_trusted_proxy_saw(
    settings: Any, proxies: int, forwarded: str, source: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    assert told(forwarded) == source


@pytest.mark.parametrize("forwarded", [None, "", "unknown", f"{CLIENT}, ", f"{CLIENT}, 1.2.3"])
def test_it_names_the_proxy_where_that_says_nothing_sensible(
    settings: Any, forwarded: str | None
) -> None:
    settings.TRUSTED_PROXIES = 1
    assert told(forwarded) == PROXY


def test_it_names_the_proxy_where_there_are_fewer_than_expected(settings: Any) -> None:
    settings.TRUSTED_PROXIES = 2
    assert told(CLIENT) == PROXY


@pytest.mark.parametrize(("peer", "source"), [("", None), ("fe80::1%eth0", "fe80::1")])
def test_it_answers_with_what_a_database_takes(peer: str, source: str | None) -> None:
    assert told(None, peer) == source


def test_wrong_passwords_of_others_behind_the_same_proxy_lock_nobody_out(
    settings: Any, client: Client, alice: User
) -> None:
    settings.TRUSTED_PROXIES = 1
    form = {"username": "alice@example.com", "password": "wrong"}
    for _ in range(10):
        answer = client.post("/sign-in", form, headers={"x-forwarded-for": FORGED})
    assert answer.status_code == 429
    form["password"] = PASSWORD
    entered = client.post("/sign-in", form, headers={"x-forwarded-for": f"{FORGED}, {CLIENT}"})
    assert entered.status_code == 302


def test_whoever_forges_an_address_is_locked_out_all_the_same(
    settings: Any, client: Client, alice: User
) -> None:
    settings.TRUSTED_PROXIES = 1
    form = {"username": "alice@example.com", "password": "wrong"}
    for number in range(10):
        claimed = f"192.0.2.{number}, {CLIENT}"
        answer = client.post("/sign-in", form, headers={"x-forwarded-for": claimed})
    assert answer.status_code == 429


def test_history_names_whoever_asked_and_not_the_proxy(
    settings: Any, db: None, api_key: str
) -> None:
    settings.TRUSTED_PROXIES = 1
    headers = {"authorization": f"Bearer {api_key}", "x-forwarded-for": f"{FORGED}, {CLIENT}"}
    Client(headers=headers).delete("/v1/vbase/clusters/vc-none")
    assert AuditEntry.objects.get().source == CLIENT
