"""Where a request comes from: one answer for history, at every door, and for the lock that wrong
passwords close.
"""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def source_of(request: HttpRequest) -> str | None:
    """The address of whoever asks. Behind N trusted proxies it is the Nth entry from the right of
    X-Forwarded-For: each proxy adds the one that it saw, and what stands further left is what the
    client claims.
    """
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    proxies: int = settings.TRUSTED_PROXIES
    if proxies == 0:
        return peer
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    return (_address(told[-proxies]) if len(told) >= proxies else None) or peer


def network_of(request: HttpRequest) -> str | None:
    """The address that limits apply to. IPv6: the /64 network, because a client chooses freely
    among its addresses.
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
    """As a database takes it; a zone, which only the machine itself understands, is no part."""
    try:
        return str(ipaddress.ip_address(text.strip().partition("%")[0]))
    except ValueError:
        return None
