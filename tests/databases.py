"""Addresses of PostgreSQL databases."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def at_database(server: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
