"""Target database of a restore: created if missing, and dropped by an undo only if created.

The intention is written to the checkpoint first, and the database is created with a mark that names
the restore. After a crash the mark shows whether the database was created by this restore or by
another client. The mark is removed when the restore ends.

A created database gets the properties of the backup's database. Limits are set last, because they
would also limit the restore. An existing database keeps its properties.
"""

from __future__ import annotations

from collections.abc import Mapping

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.codec import canonical_json
from backups.milvus.client import Client, pairs
from backups.milvus.database import initial_properties, remove_mark, set_properties, takes_marks
from backups.milvus.errors import MilvusError, Refused
from backups.milvus.losses import MARK, keeps_database_properties
from backups.restore.checkpoint import RestoreCheckpoint
from vbase_console.tasks.attempts import Attempt


def create_if_missing(
    attempt: Attempt, client: Client, name: str, properties: Mapping[str, str]
) -> None:
    """Create the database with the backup's properties. `client` uses an existing database."""
    if name in client.databases():
        return
    text = canonical_json(dict(properties)).decode()  # text, because a value may contain NUL
    attempt.save_checkpoint(makes_database=True, database_properties=text)
    attempt.guard()
    try:
        _create(attempt, client, name, initial_properties(properties))
    except MilvusError:
        if name not in client.databases():
            raise
        if not takes_marks(client.server()):
            attempt.save_checkpoint(makes_database=False)


def drop_if_created(attempt: Attempt, client: Client, name: str) -> None:
    """Drop the database if this restore created it, unless it contains collections."""
    if not client.collections() and _is_ours(attempt, client):
        attempt.guard()
        client.drop_database(name)


def complete(attempt: Attempt, client: Client, name: str) -> None:
    """Set the remaining properties of a created database, warn of refused ones, remove the mark."""
    if not _is_ours(attempt, client):
        return
    if keeps_database_properties(client.server()):  # else the preflight has warned
        properties = RestoreCheckpoint(attempt.task.checkpoint).database_properties
        attempt.guard()
        for problem in set_properties(client, properties):
            attempt.warn(f"Database '{name}': {problem}")
    if takes_marks(client.server()):
        attempt.guard()
        remove_mark(client)


def _create(attempt: Attempt, client: Client, name: str, properties: Mapping[str, str]) -> None:
    """Create the database with all properties, or with none if the server refuses one. `complete`
    sets the missing ones individually.
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
    """Check the mark, or only the checkpoint if the server does not support marks."""
    if not RestoreCheckpoint(attempt.task.checkpoint).makes_database:
        return False
    if not takes_marks(client.server()):
        return True
    return client.database_properties().get(MARK) == attempt.task.task_id
