"""Rules for network addresses that tenants give: attached endpoints, webhooks and ping URLs.

An address is checked when it is given and again at each connection. All addresses of a name are
checked, and a connection goes to one of them without a second look-up, so that a name which changes
between two look-ups reaches nothing that is refused. docs/attached-clusters.md has the rules.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import re
import socket
import threading
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOST_LENGTH = 253
RESOLVE_SECONDS = 4.0
MAX_LOOKUPS = 64
"""Look-ups of one process that may wait for a name server at the same time."""
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")


class AddressError(Exception):
    """An address cannot be used. The message states the problem and the remedy."""


class HostInvalid(AddressError):
    """The text is neither a host name nor an IP address in its usual form."""


class AddressRefused(AddressError):
    """The console never connects to this address, whatever its settings."""


class PortRefused(AddressRefused):
    """A process of the console listens on this port."""


class NetworkNotAllowed(AddressError): ...


class NameNotResolved(AddressError):
    """No name server knows the name, or none answered in time."""


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
_WORDS: dict[str, Callable[[Address], bool]] = {
    "loopback": lambda address: address.is_loopback,
    "private": lambda address: _is_in(address, _PRIVATE),
    "public": lambda address: address.is_global,
}
_METADATA = _networks(
    "169.254.169.254/32",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
)
"""Services that give a virtual machine its credentials."""
_EMBEDDING = _networks(
    "::ffff:0:0/96",  # IPv4-mapped
    "::ffff:0:0:0/96",  # IPv4-translated
    "::/96",  # IPv4-compatible; :: and ::1 are decided before
    "2002::/16",  # 6to4
    "2001::/32",  # Teredo
    "64:ff9b::/96",  # NAT64
    "64:ff9b:1::/48",
)
_ISATAP = (0x00005EFE, 0x02005EFE)
_UNUSABLE = _networks("0.0.0.0/8", "192.0.0.0/24")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllowedNetworks:
    setting: str
    words: frozenset[str] = frozenset()
    ranges: tuple[Network, ...] = ()

    def contains(self, address: Address) -> bool:
        return any(_WORDS[word](address) for word in self.words) or _is_in(address, self.ranges)


def parse_networks(setting: str, texts: Sequence[str]) -> AllowedNetworks:
    """Read words and CIDRs. Raises ValueError for another text."""
    words = {text for text in texts if text in _WORDS}
    ranges = _networks(*(text for text in texts if text not in words))
    return AllowedNetworks(setting=setting, words=frozenset(words), ranges=ranges)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listener:
    """Host and port on which a process of the console listens."""

    host: str
    port: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddressRules:
    allowed: AllowedNetworks
    listeners: frozenset[Listener]

    def check(self, host: str, port: int, *, seconds: float = RESOLVE_SECONDS) -> list[str]:
        """Return the addresses of a host, all of them checked, in the order of the resolver."""
        if not (self.allowed.words or self.allowed.ranges):
            raise NetworkNotAllowed(
                f"This console connects to no address of its users. Its operator allows networks "
                f"with {self.allowed.setting}."
            )
        addresses = resolve(host, seconds=seconds)
        for address in addresses:
            try:
                self._check_address(address, host, port)
            except AddressError:
                # Only the log names the address: tenants must not learn names of this network.
                logger.warning("%r port %s: %s refused", host, port, address)
                raise
        return [str(address) for address in addresses]

    def _check_address(self, address: Address, host: str, port: int) -> None:
        if reason := refusal_of(address):
            raise AddressRefused(f"'{host}' {reason}. Give an address of the server itself.")
        if self._is_listener(address, port):
            raise PortRefused(
                f"Port {port} of '{host}' belongs to this console. Give the port of another server."
            )
        if not self.allowed.contains(address):
            raise NetworkNotAllowed(
                f"'{host}' is not in a network that {self.allowed.setting} allows. "
                "Ask the operator of this console to add the network."
            )

    def _is_listener(self, address: Address, port: int) -> bool:
        hosts = {listener.host for listener in self.listeners if listener.port == port}
        if not hosts:
            return False
        is_own = is_own_address(address)
        return any(_listens_at(host, address, is_own=is_own) for host in hosts)


def check_host(text: str) -> str:
    """Return the host if it is a name or an address in its usual form.

    Resolvers of C libraries also read `2130706433`, `0177.1` and `0x7f.0.0.1` as addresses. These
    forms are refused, because readers of a list or a log would not recognize the address.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        if "%" in text:
            raise HostInvalid("Give the address without a zone (%).")
        return text
    labels = text.removesuffix(".").split(".")
    if len(text) > MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostInvalid(
            "Give a host name or an IP address, without scheme, port and path. "
            "Write an international name in its ASCII form (xn--…)."
        )
    if _NUMBER.fullmatch(labels[-1]):
        raise HostInvalid("Give an IP address as four decimal numbers without leading zeros.")
    return text


def normal_host(host: str) -> str:
    """Return one spelling of a checked host, to compare it with others."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.removesuffix(".").lower()


def refusal_of(address: Address) -> str:
    """Return why the console never connects to an address, or an empty text."""
    if address.is_unspecified or _is_in(address, _UNUSABLE):
        return "is an unspecified or special address"
    if _is_in(address, _METADATA):
        return "is a metadata service"
    if address.is_link_local:
        return "is a link-local address"
    if address.is_multicast:
        return "is a multicast address"
    if address.is_loopback:
        return ""
    if _embeds_another(address):
        return "contains another address"
    if address.is_reserved or (
        isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    ):
        return "is a reserved address"
    return ""


def resolve(host: str, *, seconds: float = RESOLVE_SECONDS) -> list[Address]:
    """Return all addresses of a host. Raises HostInvalid or NameNotResolved.

    The look-up has a thread of its own, because the resolver has no time limit.
    """
    try:
        return [ipaddress.ip_address(check_host(host))]
    except ValueError:
        pass
    look_up = _look_up_of(host)
    if look_up is None:
        raise NameNotResolved("The console is busy with other names. Try again in a moment.")
    if not look_up.done.wait(seconds):
        raise NameNotResolved(
            f"The name '{host}' did not resolve within {seconds:.0f} s. Check the name server."
        )
    if not look_up.addresses:
        raise NameNotResolved(f"The name '{host}' does not resolve. Check its spelling.")
    return list(look_up.addresses)


class _LookUp:
    """One look-up of a name, shared by all that ask for the name before its end."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.addresses: Sequence[Address] = ()

    def run(self, host: str) -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = [ipaddress.ip_address(str(answer[4][0])) for answer in answers]
            self.addresses = list(dict.fromkeys(addresses))
        except (OSError, ValueError):
            self.addresses = ()
        finally:
            with _look_ups_lock:
                _look_ups.pop(host, None)
            self.done.set()


_look_ups: dict[str, _LookUp] = {}
_look_ups_lock = threading.Lock()


def _look_up_of(host: str) -> _LookUp | None:
    """Join the look-up of a name, or begin one. Returns None if too many are unanswered."""
    with _look_ups_lock:
        running = _look_ups.get(host)
        if running is not None or len(_look_ups) >= MAX_LOOKUPS:
            return running
        begun = _look_ups[host] = _LookUp()
    threading.Thread(target=begun.run, args=(host,), daemon=True).start()
    return begun


def is_own_address(address: Address) -> bool:
    """Return True for an address of this machine: only such an address can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return address.is_loopback
    return True


def _listens_at(host: str, address: Address, *, is_own: bool) -> bool:
    """Compare an address with a listener of this machine or of another one."""
    try:
        listening = resolve(host, seconds=1.0)
    except AddressError:
        return is_own
    if address in listening:
        return True
    return is_own and any(item.is_unspecified or is_own_address(item) for item in listening)


def _embeds_another(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return False
    return _is_in(address, _EMBEDDING) or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
