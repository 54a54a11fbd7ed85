"""Hooks of policies: protection implements them and registers in its `AppConfig.ready`."""

from __future__ import annotations

from backups.policies.models import BackupPolicy
from vbase_console.core.hooks import Event, Query

CollectionKey = tuple[str, str]
"""Database and collection."""


@Event
def policy_changed(cluster_id: str) -> None:
    """A policy of the cluster was created, changed or deleted. Called in that transaction, with the
    cluster's row locked.
    """


@Query
def coverage_lost(
    policy: BackupPolicy, *, db_name: str, collection_names: list[str]
) -> list[CollectionKey]:
    """List known collections that would be covered by no policy after this change of `policy`."""
    return []
