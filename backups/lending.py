"""Collections that a backup has loaded for reading: noted before, given back after, whoever dies
in between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

from backups.archive.description import CollectionDescription, LoadDescription
from backups.hands import connected
from backups.milvus.client import Client
from backups.milvus.readable import give_back, is_readable, load_for_reading
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

LENT = "lent"
"""In a checkpoint: of each such collection its load state as it was."""


def readable(
    attempt: Attempt, client: Client, collections: Sequence[CollectionDescription]
) -> list[CollectionDescription]:
    """The same collections, all loaded now, and described as they were before."""
    found = [_as_it_was(attempt, each) for each in collections]
    for collection in found:
        if not is_readable(client, collection):
            lent = attempt.task.checkpoint.get(LENT, {})
            attempt.remember(**{LENT: {**lent, collection.name: collection.load.to_json()}})
            attempt.guard()
            load_for_reading(client, collection, partial(_say, attempt, collection.name))
    return found


def return_all(job: BackupJob) -> None:
    """Whatever attempt took it. A collection that its tenant loaded meanwhile is released, too."""
    checkpoint = Task.objects.values_list("checkpoint", flat=True).get(pk=job.task_id)
    lent = checkpoint.get(LENT, {})
    if lent:
        with connected(job.cluster, job.db_name) as client:
            for name, load in lent.items():
                give_back(client, name, LoadDescription.from_json(load))


def _as_it_was(attempt: Attempt, collection: CollectionDescription) -> CollectionDescription:
    lent = attempt.task.checkpoint.get(LENT, {}).get(collection.name)
    if lent is None:
        return collection
    return dataclasses.replace(collection, load=LoadDescription.from_json(lent))


def _say(attempt: Attempt, name: str) -> None:
    attempt.report(2, "pinning", f"Loading {name}, which is not loaded, to read it.")
