"""Selection of the collections of a backup, from those that exist when its instant is pinned.

Requests with missing collections are refused when they are made. Policies name collections long
before a run, or select all collections, so their jobs compare the selection with the cluster.
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
    """Return the names to pin. Missing collections are stored in the job's options if the policy
    allows them, and fail the job otherwise.
    """
    if not job.policy_id:
        return list(job.collection_names)
    existing = [name for name in client.collections() if not is_reserved(name)]
    requested = job.collection_names or existing
    missing = [name for name in requested if name not in existing and not client.has(name)]
    if missing and job.options.get("on_missing") != WARN:
        raise JobFailed(
            f"Database '{job.db_name}' has no collection {', '.join(missing)}. Change the policy's "
            "collections, or allow missing collections.",
            permanent=True,
        )
    selected = [name for name in requested if name not in missing]
    if not selected:
        reason = (
            f"Nothing to back up: database '{job.db_name}' has none of the policy's collections."
        )
        with attempt.fenced():
            observers.nothing_to_back_up(job, reason=reason)
        raise JobFailed(reason, permanent=True)
    job.options = {**job.options, "missing": missing}
    with attempt.fenced():
        BackupJob.objects.filter(pk=job.pk).update(options=job.options)
    return selected


def omissions_of(job: BackupJob) -> list[str]:
    """Describe the requested collections that did not exist."""
    return [
        f"Collection {name} did not exist, so the backup does not contain it."
        for name in job.options.get("missing", [])
    ]
