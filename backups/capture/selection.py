"""Which collections a backup takes, as its cluster has them when it pins its instant.

Whoever names collections is told at once which are not there. A policy names them for years, or
none for all of them, so its jobs look.
"""

from __future__ import annotations

from backups import observers
from backups.milvus.client import Client
from backups.models import BackupJob
from clusters.milvus_names import is_reserved
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed

WARN = "WARN"


def select_collections(attempt: Attempt, job: BackupJob, client: Client) -> list[str]:
    """The names to pin; what is missing is noted in the job's options where its policy goes on
    without it.
    """
    if not job.policy_id:
        return list(job.collection_names)
    there = [name for name in client.collections() if not is_reserved(name)]
    chosen = job.collection_names or there
    missing = [name for name in chosen if name not in there and not client.has(name)]
    if missing and job.options.get("on_missing") != WARN:
        raise JobFailed(_vanished(job, missing), permanent=True)
    found = [name for name in chosen if name not in missing]
    if not found:
        _skip(attempt, job)
    _note(attempt, job, missing)
    return found


def omissions_of(job: BackupJob) -> list[str]:
    """In words, what was asked for and not there."""
    return [
        f"Collection {name} was not there, so this backup does not hold it."
        for name in job.options.get("missing", [])
    ]


def _vanished(job: BackupJob, missing: list[str]) -> str:
    return (
        f"Database '{job.db_name}' has no collection {', '.join(missing)}; change the policy's "
        "collections, or let it take the others."
    )


def _skip(attempt: Attempt, job: BackupJob) -> None:
    reason = f"There is nothing to back up: database '{job.db_name}' has none of its collections."
    with attempt.fenced():
        observers.nothing_to_back_up(job, reason=reason)
    raise JobFailed(reason, permanent=True)


def _note(attempt: Attempt, job: BackupJob, missing: list[str]) -> None:
    job.options = {**job.options, "missing": missing}
    with attempt.fenced():
        BackupJob.objects.filter(pk=job.pk).update(options=job.options)
