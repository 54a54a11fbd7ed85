"""Properties of databases that a restore creates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pymilvus.grpc_gen import milvus_pb2

from backups.milvus.client import Client, pairs
from backups.milvus.errors import MilvusError
from backups.milvus.losses import MARK
from backups.milvus.server import ServerInfo

_MARKS_SINCE = (2, 5, 0)
_LIMITS = "database."
"""Prefix of properties that limit a database, also for a restore: quotas, a ban on writing."""


def takes_marks(server: ServerInfo) -> bool:
    return server.is_embedded or server.number >= _MARKS_SINCE


def initial_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """Select the properties that a database can have while it is filled: all except limits."""
    return {name: value for name, value in properties.items() if not name.startswith(_LIMITS)}


def set_properties(client: Client, properties: Mapping[str, str]) -> Iterator[str]:
    """Set each missing property of the connected database. Yields a text per refused property."""
    existing, database = client.database_properties(), client.endpoint.database
    for name, value in sorted(properties.items()):
        if existing.get(name) == value:
            continue
        request = milvus_pb2.AlterDatabaseRequest(db_name=database, properties=pairs({name: value}))
        try:
            client.call("AlterDatabase", request)
        except MilvusError as error:
            if not error.permanent:
                raise
            yield f"property {name} could not be set to {value!r}: {error}"


def remove_mark(client: Client) -> None:
    database = client.endpoint.database
    request = milvus_pb2.AlterDatabaseRequest(db_name=database, delete_keys=[MARK])
    client.call("AlterDatabase", request)
