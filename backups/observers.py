"""Hooks of the core of backups: policies and protection implement them.

Every event is called in the transaction that makes the change, with the cluster's row locked,
except `collections_seen`. The apps above register in their `AppConfig.ready`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime

from backups.models import Backup, BackupJob
from clusters.models import Cluster
from vbase_console.core.hooks import Event, Query
from vbase_console.organizations.tenancy import Principal


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicySummary:
    policy_count: int = 0
    next_run_at: datetime | None = None


@Event
def job_finished(job: BackupJob, *, succeeded: bool) -> None:
    """A job has ended, and its backup's row is up to date."""


@Event
def job_retried(old: BackupJob, new: BackupJob) -> None:
    """The job `new` replaces the failed or cancelled job `old`."""


@Event
def nothing_to_back_up(job: BackupJob, *, reason: str) -> None:
    """A job of a policy is about to fail, because no collection of its selection exists."""


@Event
def backup_damaged(backup: Backup) -> None:
    """A request has recorded damage of a backup."""


@Event
def backup_deleting(backup: Backup) -> None:
    """A backup was accepted for deletion and cannot be restored any more."""


@Event
def backup_unpinned(backup: Backup) -> None:
    """Retention may delete a backup again."""


@Event
def collections_seen(cluster: Cluster, names: Mapping[str, Sequence[str]]) -> None:
    """A request has listed the collections of some databases. `names`: database → collections.
    Called outside of a transaction.
    """


@Query
def cluster_deleting(cluster: Cluster) -> str:
    """Adapt to the deletion of a cluster. Returns a sentence about the effect, empty if none."""
    return ""


@Query
def active_run_of(policy_id: str) -> str:
    """Return the id of the unfinished job of a policy, empty if there is none."""
    return ""


@Query
def policy_summary_of(cluster_ids: Sequence[str]) -> dict[str, PolicySummary]:
    """Summarize the policies of many clusters in one query. Clusters without a policy are left
    out.
    """
    return {}


@Query
def policy_of(principal: Principal, policy_id: str) -> object | None:
    """Return the policy for a page, None if it was deleted or is not visible to `principal`."""
    return None


@Query
def retention_status_of(principal: Principal, backup: Backup) -> object | None:
    """Return the retention status of a backup for a page, None if no policy created the backup."""
    return None


@Query
def coverage_figures_of(principal: Principal, cluster: Cluster) -> dict[str, int]:
    """Count the covered, stale and uncovered collections of a cluster for a page."""
    return {}


@Query
def known_collections_of(principal: Principal, cluster: Cluster) -> dict[str, dict[str, str]]:
    """Return the inventory of a cluster: database → collection → id of its newest good backup, or
    an empty text. Empty if the cluster is deleted.
    """
    return {}
