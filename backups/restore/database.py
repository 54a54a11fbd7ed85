"""The database that a restore goes into: made where it is missing, taken back only if it was.

That it is about to be made is written down first, and it is born with a mark that names the
restore. So whoever comes after a death knows whether a database of that name is this restore's or
somebody else's who was quicker. The mark goes when the restore is done.

A database that the restore makes gets the properties of the backup's: limits at the end, because
they would limit the restore, too. One that was there keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.codec import canonical_json
from backups.milvus.client import Client, pairs
from backups.milvus.database import from_the_beginning, remove_mark, set_properties, takes_marks
from backups.milvus.errors import MilvusError, Refused
from backups.milvus.losses import MARK as MARK
from backups.milvus.losses import keeps_database_properties
from backups.restore.checkpoint import RestoreCheckpoint
from vbase_console.tasks.attempts import Attempt


def make(attempt: Attempt, client: Client, name: str, properties: Mapping[str, str]) -> None:
    """`client` is connected to a database that exists; `properties` are the backup's."""
    if name in client.databases():
        return
    text = canonical_json(dict(properties)).decode()  # a value may hold NUL, which a row may not
    attempt.save_checkpoint(makes_database=True, database_properties=text)
    attempt.guard()
    try:
        _create(attempt, client, name, from_the_beginning(properties))
    except MilvusError:
        if name not in client.databases():
            raise
        if not takes_marks(client.server()):
            attempt.save_checkpoint(makes_database=False)


def take_back(attempt: Attempt, client: Client, name: str) -> None:
    """Whoever put a collection into it meanwhile keeps both."""
    if not client.collections() and _is_ours(attempt, client):
        attempt.guard()
        client.drop_database(name)


def hand_over(attempt: Attempt, client: Client, name: str) -> None:
    """Complete its properties, and name those that it lacks; it is its tenant's from now on."""
    if not _is_ours(attempt, client):
        return
    if keeps_database_properties(client.server()):  # without it the pre-flight has said so
        wanted = RestoreCheckpoint(attempt.task.checkpoint).database_properties
        attempt.guard()
        for lost in set_properties(client, wanted):
            attempt.warn(f"Database '{name}': {lost}")
    if takes_marks(client.server()):
        attempt.guard()
        remove_mark(client)


def _create(attempt: Attempt, client: Client, name: str, properties: Mapping[str, str]) -> None:
    """With these properties, or without those that the server does not take at once: they are
    tried again one by one when it is handed over.
    """
    mark = {MARK: attempt.task.task_id} if takes_marks(client.server()) else {}
    request = milvus_pb2.CreateDatabaseRequest(
        db_name=name, properties=pairs({**properties, **mark})
    )
    try:
        client.call("CreateDatabase", request)
    except Refused:
        if not properties or name in client.databases():
            raise
        request = milvus_pb2.CreateDatabaseRequest(db_name=name, properties=pairs(mark))
        client.call("CreateDatabase", request)


def _is_ours(attempt: Attempt, client: Client) -> bool:
    """Of a server that takes no marks only the journal tells."""
    if not RestoreCheckpoint(attempt.task.checkpoint).makes_database:
        return False
    if not takes_marks(client.server()):
        return True
    return client.database_properties().get(MARK) == attempt.task.task_id
