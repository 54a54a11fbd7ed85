"""The database that a restore goes into: made where it is missing, taken back only if it was.

That it is about to be made is written down first, and it is born with a mark that names the
restore. So whoever comes after a death knows whether a database of that name is this restore's or
somebody else's who was quicker. The mark goes when the restore is done.
"""

from __future__ import annotations

from pymilvus.grpc_gen import milvus_pb2

from backups.journal import Journal
from backups.milvus.client import Client, mapping, pairs
from backups.milvus.errors import MilvusError
from vbase_console.tasks.attempts import Attempt

MARK = "vbase_restore"
_MARKS_SINCE = (2, 5, 0)


def make(attempt: Attempt, client: Client, name: str) -> None:
    if name in client.databases():
        return
    attempt.remember(makes_database=True)
    attempt.guard()
    try:
        client.call("CreateDatabase", _request(attempt, client, name))
    except MilvusError:
        if name not in client.databases():
            raise
        if not _takes_marks(client):
            attempt.remember(makes_database=False)


def take_back(attempt: Attempt, client: Client, name: str) -> None:
    """Whoever put a collection into it meanwhile keeps both."""
    if not client.collections() and _is_ours(attempt, client, name):
        attempt.guard()
        client.drop_database(name)


def hand_over(attempt: Attempt, client: Client, name: str) -> None:
    """It is its tenant's from now on."""
    if _takes_marks(client) and _is_ours(attempt, client, name):
        attempt.guard()
        request = milvus_pb2.AlterDatabaseRequest(db_name=name, delete_keys=[MARK])
        client.call("AlterDatabase", request)


def _request(attempt: Attempt, client: Client, name: str) -> milvus_pb2.CreateDatabaseRequest:
    mark = {MARK: attempt.task.task_id} if _takes_marks(client) else {}
    return milvus_pb2.CreateDatabaseRequest(db_name=name, properties=pairs(mark))


def _is_ours(attempt: Attempt, client: Client, name: str) -> bool:
    """Of a server that takes no marks only the journal tells."""
    if not Journal(attempt.task.checkpoint).makes_database:
        return False
    if not _takes_marks(client):
        return True
    request = milvus_pb2.DescribeDatabaseRequest(db_name=name)
    properties = mapping(client.call("DescribeDatabase", request).properties)
    return properties.get(MARK) == attempt.task.task_id


def _takes_marks(client: Client) -> bool:
    server = client.server()
    return server.is_embedded or server.number >= _MARKS_SINCE
