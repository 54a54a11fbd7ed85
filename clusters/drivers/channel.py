"""gRPC channels to Milvus servers. Every connection of the console to a server is opened here."""

from __future__ import annotations

import ipaddress
from typing import Any

import grpc

from clusters.drivers.base import Endpoint, Tls

_OPTIONS: list[tuple[str, Any]] = [
    # A proxy would connect to the name again, and see the token.
    ("grpc.enable_http_proxy", 0),
    # Another server may have had the address a moment ago; do not reuse its connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config_disable_resolution", 1),
]


def open_channel(
    endpoint: Endpoint,
    tls: Tls | None,
    *,
    authority: str = "",
    max_answer_bytes: int,
) -> grpc.Channel:
    """Open a channel to a checked address. A larger answer than `max_answer_bytes` is refused.

    TLS verifies the name that was given for the address. `authority` is sent to proxies of the
    server that route by name. Empty: the address.
    """
    options = [
        *_OPTIONS,
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", max_answer_bytes),
    ]
    if authority:
        options.append(("grpc.default_authority", authority))
    if tls is None:
        return grpc.insecure_channel(_target(endpoint), options=options)
    options.append(("grpc.ssl_target_name_override", tls.server_name))
    roots = tls.ca_certificate.encode() or None
    return grpc.secure_channel(
        _target(endpoint), grpc.ssl_channel_credentials(roots), options=options
    )


def _target(endpoint: Endpoint) -> str:
    """Return a target with the scheme of an address, so that no name can be resolved from it."""
    address = ipaddress.ip_address(endpoint.host)
    if address.version == 6:
        return f"ipv6:[{address}]:{endpoint.port}"
    return f"ipv4:{address}:{endpoint.port}"
