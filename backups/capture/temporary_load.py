"""Temporary loads: collections loaded only for a backup, recorded before the load and released when
the job ends, also after a crash.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

from django.db import transaction

from backups.archive.description import CollectionDescription, LoadDescription
from backups.connections import connect
from backups.milvus.client import Client
from backups.milvus.readable import is_readable, load_for_reading, restore_load_state
from backups.milvus.schema import describe
from backups.models import BackupJob
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

TEMPORARY_LOADS = "temporary_loads"
"""Checkpoint key: the original load state of each temporarily loaded collection."""
RELEASED_WARNING = (
    "Loaded for this backup, because this Milvus returns rows of loaded collections only, and "
    "released afterwards: {names}. If you loaded one of them meanwhile, load it again."
)


def load_for_backup(
    attempt: Attempt, client: Client, collections: Sequence[CollectionDescription]
) -> list[CollectionDescription]:
    """Load the collections and return their descriptions with the original load states.

    Loading may take minutes, so the cluster's lock is released before. No instant is pinned yet,
    and reading over the wire needs no lock. The collections are described again after a load,
    because they may have changed meanwhile.
    """
    originals = [_with_original_load(attempt, collection) for collection in collections]
    unreadable = [original for original in originals if not is_readable(client, original)]
    for collection in unreadable:
        loads = attempt.task.checkpoint.get(TEMPORARY_LOADS, {})
        attempt.save_checkpoint(
            **{TEMPORARY_LOADS: {**loads, collection.name: collection.load.to_json()}}
        )
        attempt.release_lock()
        attempt.guard()
        load_for_reading(client, collection, partial(_report, attempt, collection.name))
    if not unreadable:
        return originals
    return [_with_original_load(attempt, describe(client, original.name)) for original in originals]


def release_all(job: BackupJob) -> None:
    """Release the temporary loads of every attempt, even if a tenant also loaded a collection."""
    checkpoint = Task.objects.values_list("checkpoint", flat=True).get(pk=job.task_id)
    loads = checkpoint.get(TEMPORARY_LOADS, {})
    if loads:
        with connect(job.cluster, job.db_name) as client:
            for name, load in loads.items():
                restore_load_state(client, name, LoadDescription.from_json(load))
        # written to the task's row directly, because the attempt may have ended
        text = RELEASED_WARNING.format(names=", ".join(loads))
        with transaction.atomic():
            task = Task.objects.select_for_update().get(pk=job.task_id)
            if text not in task.warnings:
                Task.objects.filter(pk=task.pk).update(warnings=[*task.warnings, text])


def _with_original_load(
    attempt: Attempt, collection: CollectionDescription
) -> CollectionDescription:
    load = attempt.task.checkpoint.get(TEMPORARY_LOADS, {}).get(collection.name)
    if load is None:
        return collection
    return dataclasses.replace(collection, load=LoadDescription.from_json(load))


def _report(attempt: Attempt, name: str, percent: int) -> None:
    attempt.report(2, "pinning", f"Temporary load of {name}: {percent} percent.")
