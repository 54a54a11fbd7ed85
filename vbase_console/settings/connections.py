"""Database and broker settings from a URL, with options that were chosen by measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA synchronous=NORMAL",
}
"""Immediate transactions, because a deferred one that reads and then writes fails under load
instead of waiting.
"""
SQLITE_CONNECTION_SECONDS = 60
"""Age of a thread's connection. Opening one costs as much as the statements of a small request."""
POSTGRESQL_POOL = {"min_size": 1, "max_size": 10, "timeout": 5, "reconnect_timeout": 5}
"""A short reconnect time-out, because the pool doubles its pauses between attempts, and the next
request for a connection makes it try at once.
"""


def database_settings(url: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured("VBASE_DATABASE_URL is not a database address.") from error
    if parsed["ENGINE"].endswith("sqlite3"):
        return parsed | {
            "OPTIONS": dict(SQLITE_OPTIONS),
            "CONN_MAX_AGE": SQLITE_CONNECTION_SECONDS,
        }
    if parsed["ENGINE"].endswith("postgresql"):
        options = parsed.get("OPTIONS", {}) | {"pool": dict(POSTGRESQL_POOL)}
        # Connections are checked when they leave the pool, so that a restart of the database fails
        # no later request.
        return parsed | {"OPTIONS": options, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    raise ImproperlyConfigured("VBASE_DATABASE_URL must begin with sqlite:// or postgresql://.")


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def broker_options(url: str, lease_seconds: float) -> dict[str, Any]:
    """Return the transport options of a broker. Time-outs are short, so that a dead broker delays
    no request.

    Redis: unacknowledged messages are restored every 2 s (the default is every 100), after a
    visibility time-out longer than a lease. RabbitMQ: each host is tried once, because the client
    sleeps before it tries a host again.
    """
    if url.startswith(("redis", "rediss")):
        return {
            "visibility_timeout": max(60, int(lease_seconds * 2)),
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
            "socket_timeout": 5,
            "socket_keepalive": True,
        }
    if url.startswith("amqp"):
        other_hosts = url.count(";")
        return {"max_retries": other_hosts, "connect_timeout": 2, "read_timeout": 5}
    raise ImproperlyConfigured("VBASE_BROKER_URL must begin with redis://, rediss:// or amqp://.")
