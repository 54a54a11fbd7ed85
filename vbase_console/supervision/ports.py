"""Which ports are free, asked before anything is started."""

from __future__ import annotations

import socket

from vbase_console.supervision.errors import StartRefused

LOOPBACK = "127.0.0.1"
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared with, not bound to


def require_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise StartRefused(
            f"{address_of(host, port)} cannot be used: {error.strerror or error}. "
            "Choose another VBASE_PORT (or VBASE_HOST), or stop what uses it."
        ) from error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def address_of(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(host: str) -> str:
    """Where a program on this machine reaches what is bound to `host`."""
    return EVERYWHERE.get(host, host)
