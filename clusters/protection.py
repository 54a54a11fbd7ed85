"""What clusters ask of whoever looks after their data, without knowing who that is.

A higher app registers a `Guardian` in its `AppConfig.ready`. Nobody registered: empty answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from clusters.models import Cluster


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protection:
    """How well one cluster is looked after, as GetCluster's `configuration.backup` shows it."""

    policy_count: int = 0
    last_backup_at: datetime | None = None
    last_proven_at: datetime | None = None
    next_backup_at: datetime | None = None


class ClusterProtection(Protocol):
    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        """One answer for many clusters, in a constant number of queries."""

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        """Called in the transaction that accepts a deletion; answers in words what is kept and
        what goes.
        """


_guardians: list[ClusterProtection] = []


def register(guardian: ClusterProtection) -> None:
    _guardians.append(guardian)


def is_registered() -> bool:
    """Whether the answers below mean anything: nobody registered is not "no policies"."""
    return bool(_guardians)


def protection_of(cluster_ids: Sequence[str]) -> dict[str, Protection]:
    answer = dict.fromkeys(cluster_ids, Protection())
    for guardian in _guardians:
        answer |= guardian.protection_of(cluster_ids)
    return answer


def before_delete(cluster: Cluster, *, by: str, delete_backups: bool) -> str:
    said = [
        guardian.before_delete(cluster, by=by, delete_backups=delete_backups)
        for guardian in _guardians
    ]
    return " ".join(said)
