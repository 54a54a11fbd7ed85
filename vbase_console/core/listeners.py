"""Hosts and ports on which the console listens, so that tenants cannot attach to them.

A higher app registers its own listeners in `AppConfig.ready`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from django.conf import settings

from vbase_console.core.addresses import Listener

Query = Callable[[], Iterable[Listener]]

_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "postgresql": 5432}
_queries: list[Query] = []


def register(query: Query) -> None:
    if query not in _queries:
        _queries.append(query)


def console_listeners() -> frozenset[Listener]:
    """Listeners of the web, gRPC, the broker, the database and the registered apps."""
    own = (
        Listener(host=settings.HOST, port=settings.PORT),
        Listener(host=settings.GRPC_HOST, port=settings.GRPC_PORT),
    )
    registered = (listener for query in _queries for listener in query())
    return frozenset([*own, *_services(), *registered])


def _services() -> Iterator[Listener]:
    for url in settings.CELERY_BROKER_URL.split(";"):
        parts = urlsplit(url)
        yield from _listener(parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))
    for database in settings.DATABASES.values():
        if database["ENGINE"].endswith("postgresql"):
            port = int(database.get("PORT") or _DEFAULT_PORTS["postgresql"])
            yield from _listener(database.get("HOST"), port)


def _listener(host: str | None, port: int | None) -> Iterator[Listener]:
    if host and port and not host.startswith("/"):
        yield Listener(host=host, port=port)
