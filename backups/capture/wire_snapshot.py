"""Read point of a backup over the wire. It is stored in the checkpoint, so that a later attempt
continues reading as of the same timestamp.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from django.utils import timezone

from backups.archive.codec import JsonModel, canonical_json, decode, strict_json
from backups.archive.description import CollectionDescription
from backups.capture import temporary_load
from backups.capture.selection import select_collections
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.milvus.losses import MARK, has_lifetime
from backups.milvus.schema import describe, unkept
from backups.milvus.snapshot import pin_timestamp
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt

READ_POINT = "read_point"
"""Checkpoint key: the read point as JSON text. Text, because a default value may contain NUL, which
PostgreSQL's JSON type refuses.
"""
DATABASE_PROPERTIES = "database_properties"
"""Checkpoint key: the database's properties as JSON text, for the same reason."""
_LOGICAL_BITS = 18
"""Width of the counter in a read timestamp. The bits above are milliseconds."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadPoint(JsonModel):
    """Collections and the MVCC timestamp as of which they are read.

    Without a timestamp every page has its own instant, so a later attempt may continue as well.
    """

    timestamp: int | None
    captured_at: str
    """Time of the timestamp, or a time before the first row was read."""
    collections: tuple[CollectionDescription, ...]
    identities: tuple[str, ...]
    counts: Mapping[str, int]
    """Rows of each collection, counted as of the timestamp when it was pinned. A server that
    compacts rows away afterwards counts fewer as of the same timestamp.
    """
    warnings: tuple[str, ...]


def load_or_create_read_point(attempt: Attempt, job: BackupJob, client: Client) -> ReadPoint:
    """Return the read point of an earlier attempt, or a new one if the server lost that one."""
    text = attempt.task.checkpoint.get(READ_POINT, "")
    read_point = ReadPoint.from_json(strict_json(text.encode())) if text else None
    if read_point is None or not _is_readable(attempt, client, read_point):
        read_point = _create_read_point(attempt, job, client)
        attempt.save_checkpoint(**{READ_POINT: canonical_json(read_point.to_json()).decode()})
    return read_point


def restart_capture(attempt: Attempt, job: BackupJob, client: Client, **facts: str) -> None:
    """Forget the sealed parts of another instant. Their files are deleted after the seal."""
    properties = {
        name: value for name, value in client.database_properties().items() if name != MARK
    }
    facts[DATABASE_PROPERTIES] = canonical_json(properties).decode()
    with attempt.fenced():
        job.backup.sealed_parts.all().delete()
        attempt.save_checkpoint(**facts)


def database_properties(attempt: Attempt) -> dict[str, str] | None:
    """Return the database's properties from before the first read, or None for a job that an older
    console started.
    """
    text = attempt.task.checkpoint.get(DATABASE_PROPERTIES, "")
    return decode(Mapping[str, str], strict_json(text.encode()), "$") if text else None


def _is_readable(attempt: Attempt, client: Client, read_point: ReadPoint) -> bool:
    """Check that the same collections still answer queries as of the read point."""
    try:
        temporary_load.load_for_backup(attempt, client, read_point.collections)
        for collection in read_point.collections:
            client.count(collection.name, read_point.timestamp)
        return _identities(client, read_point.collections) == read_point.identities
    except MilvusError as error:
        if not error.permanent:
            raise
        return False


def _create_read_point(attempt: Attempt, job: BackupJob, client: Client) -> ReadPoint:
    restart_capture(attempt, job, client, **{READ_POINT: ""})
    names = select_collections(attempt, job, client)
    described = (describe(client, name) for name in names)
    unique = {collection.name: collection for collection in described}  # aliases may repeat one
    collections = temporary_load.load_for_backup(attempt, client, list(unique.values()))
    identities = _identities(client, collections)
    lost = [text for collection in collections for text in unkept(client, collection)]
    now = timezone.now()
    pinned = pin_timestamp(client, collections)
    return ReadPoint(
        timestamp=pinned.timestamp,
        captured_at=(
            (_EPOCH + datetime.timedelta(milliseconds=pinned.timestamp >> _LOGICAL_BITS))
            if pinned.timestamp
            else now
        ).isoformat(),
        collections=tuple(collections),
        identities=identities,
        counts={
            collection.name: client.count(collection.name, pinned.timestamp)
            for collection in collections
            if pinned.timestamp and not has_lifetime(collection)
        },
        warnings=(*pinned.warnings, *lost),
    )


def _identities(client: Client, collections: Sequence[CollectionDescription]) -> tuple[str, ...]:
    """Identify collections and partitions, so that a new one of the same name is noticed."""
    identities = []
    for collection in collections:
        answer, partitions = client.describe(collection.name), client.partitions(collection.name)
        members = sorted(partitions.partition_names), sorted(partitions.partitionIDs)
        identities.append(f"{answer.collectionID} {answer.created_timestamp} {members}")
    return tuple(identities)
