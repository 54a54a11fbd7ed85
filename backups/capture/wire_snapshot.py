"""What a backup over the wire reads, and as of when; kept, so that a later attempt goes on where
the first one was.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence

from django.utils import timezone

from backups.archive.codec import JsonModel, canonical_json, decode, strict_json
from backups.archive.description import CollectionDescription
from backups.capture import temporary_load
from backups.capture.selection import select_collections
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.milvus.losses import MARK
from backups.milvus.schema import describe, unkept
from backups.milvus.snapshot import pin_timestamp
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt

READ_POINT = "held"
"""In a checkpoint: the JSON of what is held; text, because a default may hold NUL and PostgreSQL's
JSON may not.
"""
DATABASE_PROPERTIES = "database_properties"
"""In a checkpoint: their JSON as text, for the same reason."""
_LOGICAL_BITS = 18
"""Of a read timestamp; above them are milliseconds."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadPoint(JsonModel):
    """Where there is no timestamp, every page is of its own instant, so there is nothing that going
    on could spoil.
    """

    timestamp: int | None
    captured_at: str
    """The timestamp's; without one a moment before the first row was read."""
    collections: tuple[CollectionDescription, ...]
    identities: tuple[str, ...]
    warnings: tuple[str, ...]


def load_or_create_read_point(attempt: Attempt, job: BackupJob, client: Client) -> ReadPoint:
    """What an earlier attempt held, or something new where the server has that no more."""
    held = _earlier(attempt)
    if held is None or not _is_there(attempt, client, held):
        held = _begin(attempt, job, client)
        attempt.save_checkpoint(**{READ_POINT: canonical_json(held.to_json()).decode()})
    return held


def restart_capture(attempt: Attempt, job: BackupJob, client: Client, **facts: str) -> None:
    """Parts of another instant are worth nothing in this one; their files go before the seal."""
    properties = {
        name: value for name, value in client.database_properties().items() if name != MARK
    }
    facts[DATABASE_PROPERTIES] = canonical_json(properties).decode()
    with attempt.fenced():
        job.backup.sealed_parts.all().delete()
        attempt.save_checkpoint(**facts)


def database_properties(attempt: Attempt) -> dict[str, str] | None:
    """As they were when the first row was read; None for a job that an older console began."""
    text = attempt.task.checkpoint.get(DATABASE_PROPERTIES, "")
    return decode(Mapping[str, str], strict_json(text.encode()), "$") if text else None


def _earlier(attempt: Attempt) -> ReadPoint | None:
    text = attempt.task.checkpoint.get(READ_POINT, "")
    return ReadPoint.from_json(strict_json(text.encode())) if text else None


def _is_there(attempt: Attempt, client: Client, held: ReadPoint) -> bool:
    """Whether the very collections still answer as of that instant."""
    try:
        temporary_load.load_for_backup(attempt, client, held.collections)
        for collection in held.collections:
            client.count(collection.name, held.timestamp)
        return _identities(client, held.collections) == held.identities
    except MilvusError as error:
        if not error.permanent:
            raise
        return False


def _begin(attempt: Attempt, job: BackupJob, client: Client) -> ReadPoint:
    restart_capture(attempt, job, client, **{READ_POINT: ""})
    collections = _described(client, select_collections(attempt, job, client))
    collections = temporary_load.load_for_backup(attempt, client, collections)
    identities = _identities(client, collections)
    lost = [text for each in collections for text in unkept(client, each)]
    now = timezone.now()
    pinned = pin_timestamp(client, collections)
    return ReadPoint(
        timestamp=pinned.timestamp,
        captured_at=(_time_of(pinned.timestamp) if pinned.timestamp else now).isoformat(),
        collections=tuple(collections),
        identities=identities,
        warnings=(*pinned.warnings, *lost),
    )


def _described(client: Client, names: Iterable[str]) -> list[CollectionDescription]:
    """Each once: an alias may be named beside what it means."""
    described = (describe(client, name) for name in names)
    return list({collection.name: collection for collection in described}.values())


def _identities(client: Client, collections: Sequence[CollectionDescription]) -> tuple[str, ...]:
    """The same as long as nobody drops a collection or partition and makes another of its name."""
    return tuple(_identity(client, collection.name) for collection in collections)


def _identity(client: Client, name: str) -> str:
    found, partitions = client.describe(name), client.partitions(name)
    members = sorted(partitions.partition_names), sorted(partitions.partitionIDs)
    return f"{found.collectionID} {found.created_timestamp} {members}"


def _time_of(timestamp: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(milliseconds=timestamp >> _LOGICAL_BITS)
