"""Collections that a backup has loaded for reading: noted before, given back after, whoever dies
in between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

from django.db import transaction

from backups.archive.description import CollectionDescription, LoadDescription
from backups.connections import connect
from backups.milvus.client import Client
from backups.milvus.readable import give_back, is_readable, load_for_reading
from backups.milvus.schema import describe
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

TEMPORARY_LOADS = "lent"
"""In a checkpoint: of each such collection its load state as it was."""
RELEASED_WARNING = (
    "Loaded for this backup, because this Milvus gives no rows of what is not loaded, and released "
    "again, as before: {names}. If you loaded one of them meanwhile, load it again."
)


def load_for_backup(
    attempt: Attempt, client: Client, collections: Sequence[CollectionDescription]
) -> list[CollectionDescription]:
    """The same collections, all loaded now, and their load states described as they were before.

    Loading may take minutes, so the cluster's lock goes first: no instant is held yet, and who
    reads over the wire reads without it anyway. All are described anew then, because they may have
    changed meanwhile.
    """
    found = [_as_it_was(attempt, each) for each in collections]
    unreadable = [each for each in found if not is_readable(client, each)]
    for collection in unreadable:
        _load(attempt, client, collection)
    if not unreadable:
        return found
    return [_as_it_was(attempt, describe(client, each.name)) for each in found]


def release_all(job: BackupJob) -> None:
    """Whatever attempt took it. A collection that its tenant loaded meanwhile is released, too."""
    checkpoint = Task.objects.values_list("checkpoint", flat=True).get(pk=job.task_id)
    lent = checkpoint.get(TEMPORARY_LOADS, {})
    if lent:
        with connect(job.cluster, job.db_name) as client:
            for name, load in lent.items():
                give_back(client, name, LoadDescription.from_json(load))
        _warn(job, RELEASED_WARNING.format(names=", ".join(lent)))


def _load(attempt: Attempt, client: Client, collection: CollectionDescription) -> None:
    lent = attempt.task.checkpoint.get(TEMPORARY_LOADS, {})
    attempt.save_checkpoint(
        **{TEMPORARY_LOADS: {**lent, collection.name: collection.load.to_json()}}
    )
    attempt.release_lock()
    attempt.guard()
    load_for_reading(client, collection, partial(_say, attempt, collection.name))


def _warn(job: BackupJob, text: str) -> None:
    """The attempt may be over, or have been another one."""
    with transaction.atomic():
        task = Task.objects.select_for_update().get(pk=job.task_id)
        if text not in task.warnings:
            Task.objects.filter(pk=task.pk).update(warnings=[*task.warnings, text])


def _as_it_was(attempt: Attempt, collection: CollectionDescription) -> CollectionDescription:
    lent = attempt.task.checkpoint.get(TEMPORARY_LOADS, {}).get(collection.name)
    if lent is None:
        return collection
    return dataclasses.replace(collection, load=LoadDescription.from_json(lent))


def _say(attempt: Attempt, name: str, percent: int) -> None:
    said = f"Loading {name}, which is not loaded, to read it: {percent} percent."
    attempt.report(2, "pinning", said)
