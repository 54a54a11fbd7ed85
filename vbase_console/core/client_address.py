"""Address of the client, used by the audit, by the sign-in lock and by rate limits."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def source_of(request: HttpRequest) -> str | None:
    """Return the address of the client.

    Behind N trusted proxies this is the Nth entry of X-Forwarded-For from the right. Each proxy
    appends the address that it saw, so entries further left are unverified claims of the client.
    """
    meta = request.META
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    return address_behind(meta.get("REMOTE_ADDR", ""), forwarded, settings.TRUSTED_PROXIES)


def address_behind(peer: str, forwarded: str, proxies: int) -> str | None:
    """Return the address of the client of a peer. `forwarded` is its X-Forwarded-For."""
    entries = forwarded.split(",")
    named = _address(entries[-proxies]) if 0 < proxies <= len(entries) else None
    return named or _address(peer)


def network_of(request: HttpRequest) -> str | None:
    """Return the address that limits apply to: for IPv6 the /64 network, because a client can use
    every address in it.
    """
    source = source_of(request)
    if source is None:
        return None
    address = ipaddress.ip_address(source)
    if isinstance(address, ipaddress.IPv4Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)


def _address(text: str) -> str | None:
    """Normalize an address for the database, without an IPv6 zone. Returns None if invalid."""
    try:
        return str(ipaddress.ip_address(text.strip().partition("%")[0]))
    except ValueError:
        return None
