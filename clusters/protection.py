"""Registry through which clusters query backup status and announce deletion, without importing
backups.

A higher app registers a `ClusterProtection` in its `AppConfig.ready`. Without a registration the
answers are empty.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from clusters.models import Cluster
from vbase_console.tasks.models import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protection:
    """Backup summary of one cluster, shown as `configuration.backup` by GetCluster."""

    policy_count: int = 0
    last_backup_at: datetime | None = None
    last_proven_at: datetime | None = None
    next_backup_at: datetime | None = None


class ClusterProtection(Protocol):
    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        """Return the summaries of many clusters, in a constant number of queries."""

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        """Prepare the deletion, in the transaction that accepts it. Returns a message about the
        backups that are kept and deleted.
        """

    def databases_with_rows(self, cluster: Cluster) -> list[str]:
        """List the databases that have collections. Calls the server."""

    def back_up(self, cluster: Cluster, databases: Sequence[str], *, by: str) -> list[str]:
        """Enqueue a backup of each database, ahead of other tasks that wait. Returns the ids of
        their tasks. The caller has locked the cluster's row.
        """

    def filled_by(self, cluster: Cluster) -> Task | None:
        """Return the unfinished restore that fills this new cluster, and removes it unless it
        succeeds.
        """


_registered: list[ClusterProtection] = []


def register(protection: ClusterProtection) -> None:
    _registered.append(protection)


def is_registered() -> bool:
    """Return False if an empty answer means that backups are not installed."""
    return bool(_registered)


def protection_of(cluster_ids: Sequence[str]) -> dict[str, Protection]:
    answer = dict.fromkeys(cluster_ids, Protection())
    for protection in _registered:
        answer |= protection.protection_of(cluster_ids)
    return answer


def before_delete(cluster: Cluster, *, by: str, delete_backups: bool) -> str:
    messages = [
        protection.before_delete(cluster, by=by, delete_backups=delete_backups)
        for protection in _registered
    ]
    return " ".join(messages)


def databases_with_rows(cluster: Cluster) -> list[str]:
    return [name for protection in _registered for name in protection.databases_with_rows(cluster)]


def back_up(cluster: Cluster, databases: Sequence[str], *, by: str) -> list[str]:
    return [
        task_id
        for protection in _registered
        for task_id in protection.back_up(cluster, databases, by=by)
    ]


def filled_by(cluster: Cluster) -> Task | None:
    restores = (protection.filled_by(cluster) for protection in _registered)
    return next((restore for restore in restores if restore is not None), None)
