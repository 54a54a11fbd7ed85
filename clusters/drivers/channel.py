"""gRPC channels to Milvus servers. Every connection of the console to a server is opened here."""

from __future__ import annotations

from typing import Any

import grpc

from clusters.drivers.base import Endpoint, Tls

_OPTIONS: list[tuple[str, Any]] = [
    # A proxy would connect to the name again, and see the token.
    ("grpc.enable_http_proxy", 0),
    # Another server may have had the address a moment ago; do not reuse its connection.
    ("grpc.use_local_subchannel_pool", 1),
]


def open_channel(
    endpoint: Endpoint, tls: Tls | None, *, max_message_bytes: int = -1
) -> grpc.Channel:
    """Open a channel to a checked address. TLS verifies the name that was given for the address."""
    target = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"{target}:{endpoint.port}"
    options = [
        *_OPTIONS,
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", max_message_bytes),
    ]
    if tls is None:
        return grpc.insecure_channel(target, options=options)
    options.append(("grpc.ssl_target_name_override", tls.server_name))
    roots = tls.ca_certificate.encode() or None
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options=options)
