"""Addresses of PostgreSQL databases."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg


def at_database(server: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def emptied(url: str) -> str:
    """The same PostgreSQL database, without what an earlier console has left in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url
