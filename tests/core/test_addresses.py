"""Addresses that tenants give: which forms, addresses and ports the console never connects to."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vbase_console.core import addresses
from vbase_console.core.addresses import (
    AddressRefused,
    AddressRules,
    HostInvalid,
    Listener,
    NameNotResolved,
    NetworkNotAllowed,
    PortRefused,
    check_host,
    parse_networks,
    refusal_of,
    resolve,
)

EVERYTHING = parse_networks("VBASE_TEST_NETWORKS", ["loopback", "private", "public"])
Answers = dict[str, list[str]]


def rules(*texts: str, listeners: tuple[Listener, ...] = ()) -> AddressRules:
    allowed = parse_networks("VBASE_TEST_NETWORKS", texts) if texts else EVERYTHING
    return AddressRules(allowed=allowed, listeners=frozenset(listeners))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Names and their addresses, as this test's resolver answers them."""
    known: Answers = {}

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


# Forms


@pytest.mark.parametrize(
    "host",
    [
        *("milvus", "milvus.example.com", "milvus.example.com.", "milvus_standalone"),
        *("xn--bcher-kva.de", "10.0.0.7", "192.168.1.1", "::1", "2001:4860:4860::8888"),
        "1password.example",
    ],
)
def test_a_name_or_an_address_in_its_usual_form_is_accepted(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1"),
        *("127.0.1", "127.0.0.1.", "0", "256.1.1.1", "1.2.3.4.5", "010.0.0.1", "0x"),
        "example.0x7f",
    ],
)
def test_other_spellings_of_an_address_are_refused(host: str) -> None:
    with pytest.raises(HostInvalid, match="four decimal numbers"):
        check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "http://milvus", "milvus:19530", "user@milvus", "milvus/path", "a b", "milvus\n"),
        *("[::1]", "-a.example", "a-.example", "a..b", ".", "bücher.de", "a" * 64),
        *("a." * 127 + "abc", "\uff11.2.3.4"),
    ],
)
def test_what_is_neither_name_nor_address_is_refused(host: str) -> None:
    with pytest.raises(HostInvalid):
        check_host(host)


def test_a_zone_is_refused() -> None:
    with pytest.raises(HostInvalid, match="zone"):
        check_host("fe80::1%eth0")


# Addresses that are never used


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("fec0::1", "reserved"),
        ("4000::1", "reserved"),
        ("::ffff:10.0.0.1", "another address"),
        ("::ffff:127.0.0.1", "another address"),
        ("::ffff:0:127.0.0.1", "another address"),
        ("::127.0.0.1", "another address"),
        ("2002:7f00:1::", "another address"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "another address"),
        ("64:ff9b::7f00:1", "another address"),
        ("64:ff9b:1::7f00:1", "another address"),
        ("2001:4860::5efe:7f00:1", "another address"),
        ("2001:4860::200:5efe:7f00:1", "another address"),
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("168.63.129.16", "metadata"),
        ("100.100.100.200", "metadata"),
    ],
)
def test_it_is_refused_whatever_the_settings_say(address: str, reason: str) -> None:
    open_to_all = rules("0.0.0.0/0", "::/0", "loopback", "private", "public")
    with pytest.raises(AddressRefused, match=reason):
        open_to_all.check(address, 19530)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "fd12::1", "8.8.8.8"])
def test_an_ordinary_address_has_no_refusal(address: str) -> None:
    assert refusal_of(ipaddress.ip_address(address)) == ""


# Networks


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("loopback", "127.8.8.8"),
        ("loopback", "::1"),
        ("private", "10.0.0.1"),
        ("private", "172.31.255.255"),
        ("private", "fd12:3456::1"),
        ("public", "8.8.8.8"),
        ("public", "2606:4700::1111"),
        ("192.0.2.0/24", "192.0.2.9"),
        ("2001:db8::/32", "2001:db8::1"),
    ],
)
def test_an_address_of_an_allowed_network_is_returned(allowed: str, address: str) -> None:
    assert rules(allowed).check(address, 19530) == [address]


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("loopback", "10.0.0.1"),
        ("private", "127.0.0.1"),
        ("private", "172.32.0.1"),
        ("private", "100.64.0.1"),
        ("public", "10.0.0.1"),
        ("public", "100.64.0.1"),
        ("public", "192.0.2.1"),
        ("10.0.0.0/24", "10.0.1.1"),
    ],
)
def test_an_address_of_another_network_names_the_setting(allowed: str, address: str) -> None:
    with pytest.raises(NetworkNotAllowed, match="VBASE_TEST_NETWORKS"):
        rules(allowed).check(address, 19530)


def test_without_networks_no_name_is_looked_up(names: Answers) -> None:
    nothing = parse_networks("VBASE_TEST_NETWORKS", [])
    with pytest.raises(NetworkNotAllowed, match="VBASE_TEST_NETWORKS"):
        AddressRules(allowed=nothing, listeners=frozenset()).check("unknown.example", 19530)


@pytest.mark.parametrize("text", ["everything", "10.0.0.0/33", "10.0.0.1/24", "localhost"])
def test_a_setting_of_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_networks("VBASE_TEST_NETWORKS", [text])


# Names


def test_every_address_of_a_name_is_returned_in_the_order_of_the_resolver(names: Answers) -> None:
    names["milvus.example"] = ["::1", "127.0.0.1", "10.0.0.1", "127.0.0.1"]
    assert rules().check("milvus.example", 19530) == ["::1", "127.0.0.1", "10.0.0.1"]


def test_one_refused_address_refuses_the_name(names: Answers) -> None:
    names["milvus.example"] = ["10.0.0.1", "169.254.169.254"]
    with pytest.raises(AddressRefused):
        rules().check("milvus.example", 19530)


def test_a_refusal_does_not_tell_to_which_address_a_name_resolves(
    names: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    names["inner.example"] = ["10.9.8.7"]
    with pytest.raises(NetworkNotAllowed) as refused:
        rules("public").check("inner.example", 19530)
    assert "10.9.8.7" not in str(refused.value)
    assert "10.9.8.7" in caplog.text


def test_a_name_is_checked_again_when_its_addresses_change(names: Answers) -> None:
    names["milvus.example"] = ["127.0.0.1"]
    rules("loopback").check("milvus.example", 19530)
    names["milvus.example"] = ["10.0.0.1"]
    with pytest.raises(NetworkNotAllowed):
        rules("loopback").check("milvus.example", 19530)


def test_an_unknown_name_does_not_resolve(names: Answers) -> None:
    with pytest.raises(NameNotResolved, match=r"unknown\.example"):
        resolve("unknown.example")


# Name servers that hang


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A resolver that answers only after the test. Returns the number of look-ups."""
    answered, begun = threading.Event(), []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        begun.append(host)
        answered.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield lambda: len(begun)
    answered.set()
    deadline = time.monotonic() + 60
    while addresses._look_ups and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_look_up_ends_with_its_time(hanging: Callable[[], int]) -> None:
    with pytest.raises(NameNotResolved, match="did not resolve within"):
        resolve("slow.example", seconds=0.05)


def test_a_name_is_asked_once_at_a_time(hanging: Callable[[], int]) -> None:
    for _ in range(5):
        with pytest.raises(NameNotResolved):
            resolve("slow.example", seconds=0.01)
    assert hanging() == 1


def test_look_ups_that_hang_are_limited(hanging: Callable[[], int]) -> None:
    for number in range(addresses.MAX_LOOKUPS):
        with pytest.raises(NameNotResolved):
            resolve(f"slow-{number}.example", seconds=0.001)
    with pytest.raises(NameNotResolved, match="busy"):
        resolve("one-more.example", seconds=0.001)


# Ports of the console


WEB = Listener(host="127.0.0.1", port=8000)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_port_of_the_console_is_refused_on_every_address_of_this_machine(host: str) -> None:
    with pytest.raises(PortRefused, match="8000"):
        rules(listeners=(WEB,)).check(host, 8000)


def test_another_port_of_this_machine_is_not_refused() -> None:
    assert rules(listeners=(WEB,)).check("127.0.0.1", 8001) == ["127.0.0.1"]


def test_the_same_port_of_another_machine_is_not_refused() -> None:
    assert rules("192.0.2.0/24", listeners=(WEB,)).check("192.0.2.9", 8000) == ["192.0.2.9"]


def test_the_port_of_a_service_on_another_machine_is_refused_there(names: Answers) -> None:
    names["database.example"] = ["10.0.0.5"]
    database = Listener(host="database.example", port=5432)
    with pytest.raises(PortRefused):
        rules(listeners=(database,)).check("10.0.0.5", 5432)
    assert rules(listeners=(database,)).check("10.0.0.6", 5432) == ["10.0.0.6"]


def test_a_listener_on_all_addresses_is_one_of_this_machine() -> None:
    everywhere = Listener(host="0.0.0.0", port=8000)  # noqa: S104
    with pytest.raises(PortRefused):
        rules(listeners=(everywhere,)).check("127.0.0.1", 8000)
