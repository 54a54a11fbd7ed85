"""Properties of databases, as a restore sets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pymilvus.grpc_gen import milvus_pb2

from backups.milvus.client import Client, pairs
from backups.milvus.errors import MilvusError
from backups.milvus.losses import MARK
from backups.milvus.server import ServerInfo

_MARKS_SINCE = (2, 5, 0)
_LIMITS = "database."
"""Properties whose names begin so limit what may be done in the database, also by a restore:
quotas, a ban on writing.
"""


def takes_marks(server: ServerInfo) -> bool:
    return server.is_embedded or server.number >= _MARKS_SINCE


def from_the_beginning(properties: Mapping[str, str]) -> dict[str, str]:
    """Those that a database can have while it is filled: all but the limits."""
    return {name: value for name, value in properties.items() if not name.startswith(_LIMITS)}


def set_properties(client: Client, wanted: Mapping[str, str]) -> Iterator[str]:
    """Give the connection's database what it lacks, one by one. Yield, in words, each property that
    the server does not take.
    """
    found = client.database_properties()
    for name in sorted(wanted):
        if found.get(name) != wanted[name]:
            try:
                _set(client, name, wanted[name])
            except MilvusError as error:
                if not error.permanent:
                    raise
                yield f"its property {name} is not {wanted[name]!r} any more: {error}"


def remove_mark(client: Client) -> None:
    database = client.endpoint.database
    request = milvus_pb2.AlterDatabaseRequest(db_name=database, delete_keys=[MARK])
    client.call("AlterDatabase", request)


def _set(client: Client, name: str, value: str) -> None:
    database = client.endpoint.database
    request = milvus_pb2.AlterDatabaseRequest(db_name=database, properties=pairs({name: value}))
    client.call("AlterDatabase", request)
