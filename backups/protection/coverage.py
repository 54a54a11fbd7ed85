"""Compute the coverage of the known collections of a cluster from its policies and backups.

Coverage is stored and updated on every change of a policy, backup or collection, in the same
transaction and with the cluster's row locked, so that two updates never overlap.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Sequence
from copy import copy
from datetime import datetime
from functools import lru_cache

from django.db.models import Q
from django.utils import timezone

from backups.models import Backup
from backups.policies.cron import BadCron, BadZone, Cron, parse, zone_of
from backups.policies.models import BackupPolicy
from backups.policies.observers import CollectionKey
from backups.policies.rpo import covers, rpo_deadline
from backups.protection.models import CoverageState, KnownCollection

WRITE_BATCH_SIZE = 500
READ_BATCH_SIZE = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoveringPolicy:
    """Active policy with a valid schedule."""

    policy_id: str
    db_name: str
    collection_names: frozenset[str]
    cron: Cron
    timezone: str
    created_at: datetime

    def covers(self, key: CollectionKey) -> bool:
        db_name, name = key
        return db_name == self.db_name and covers(self.collection_names, name)

    def deadline_of(self, collection: KnownCollection, newest: BackupRef | None) -> datetime:
        """Return the RPO deadline. A collection without a backup needs one after it appeared or the
        policy was created, the later of both.
        """
        if newest:
            return _rpo_deadline(self.cron, self.timezone, newest.created_at)
        since = max(collection.first_seen_at, self.created_at)
        return _rpo_deadline(self.cron, self.timezone, since)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRef:
    backup_id: str
    created_at: datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage:
    """Computed columns of a known collection."""

    policy_id: str | None
    rpo_deadline: datetime | None
    newest_backup_id: str | None
    proven_backup_id: str | None


def update_coverage(cluster_id: str) -> int:
    """Recompute the coverage of a cluster's collections. Returns the number of changed rows."""
    collections = list(KnownCollection.objects.filter(cluster=cluster_id))
    keys = {(collection.db_name, collection.name) for collection in collections}
    if not keys:
        return 0
    policies = _covering_policies(cluster_id, keys)
    newest = _newest_backups(cluster_id, keys)
    proven = _newest_backups(cluster_id, keys, proven_at__isnull=False)
    changed: dict[Coverage, list[int]] = defaultdict(list)
    for collection in collections:
        key = collection.db_name, collection.name
        coverage = _coverage_of(collection, policies, newest.get(key), proven.get(key))
        if coverage != Coverage(
            policy_id=collection.policy_id,
            rpo_deadline=collection.rpo_deadline,
            newest_backup_id=collection.newest_backup_id,
            proven_backup_id=collection.proven_backup_id,
        ):
            changed[coverage].append(collection.pk)
    for coverage, pks in changed.items():  # collections of the same backup share their coverage
        for start in range(0, len(pks), WRITE_BATCH_SIZE):
            batch = KnownCollection.objects.filter(pk__in=pks[start : start + WRITE_BATCH_SIZE])
            batch.update(**dataclasses.asdict(coverage))
    return sum(map(len, changed.values()))


def coverage_of(
    cluster_id: str, keys: Sequence[CollectionKey]
) -> dict[CollectionKey, CoverageState]:
    """Return the coverage of collections that exist. Active policies decide about a collection that
    no scan has found yet, which cannot be stale.
    """
    now, databases = timezone.now(), {database for database, _ in keys}
    known = KnownCollection.objects.filter(cluster=cluster_id, db_name__in=databases)
    known = known.filter(name__in=[name for _, name in keys])
    states = {(row.db_name, row.name): row.coverage_at(now) for row in known}
    unknown = set(keys) - states.keys()
    policies = _covering_policies(cluster_id, unknown) if unknown else []
    for key in unknown:
        is_covered = any(policy.covers(key) for policy in policies)
        states[key] = CoverageState.COVERED if is_covered else CoverageState.UNCOVERED
    return states


def update_coverage_of(backup: Backup) -> None:
    update_coverage(backup.cluster_id)


def update_coverage_without(backup: Backup) -> int:
    """Recompute the coverage before a backup is deleted. Most deleted backups are old ones that no
    coverage refers to.
    """
    refers = Q(newest_backup=backup) | Q(proven_backup=backup)
    if not KnownCollection.objects.filter(refers, cluster=backup.cluster_id).exists():
        return 0
    return update_coverage(backup.cluster_id)


def collections_losing_coverage(
    policy: BackupPolicy, *, db_name: str, collection_names: list[str]
) -> list[CollectionKey]:
    """Return the collections that no policy would cover after this change of the policy."""
    known = KnownCollection.objects.filter(cluster=policy.cluster_id)
    keys = set(known.values_list("db_name", "name"))
    policies = {
        covering.policy_id: covering for covering in _covering_policies(policy.cluster_id, keys)
    }
    unchanged = policies.pop(policy.policy_id, None)
    if unchanged is None:
        return []
    edited = copy(policy)
    edited.db_name, edited.collection_names = db_name, collection_names
    if changed := _covering_policy(edited, keys):
        policies[policy.policy_id] = changed
    return sorted(
        key
        for key in keys
        if unchanged.covers(key) and not any(other.covers(key) for other in policies.values())
    )


def _covering_policies(cluster_id: str, keys: Collection[CollectionKey]) -> list[CoveringPolicy]:
    policies = BackupPolicy.objects.filter(cluster=cluster_id, is_active=True)
    return [covering for policy in policies if (covering := _covering_policy(policy, keys))]


def _covering_policy(
    policy: BackupPolicy, keys: Collection[CollectionKey]
) -> CoveringPolicy | None:
    """Return None if the schedule is invalid, because such a policy never runs."""
    try:
        cron, _ = parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone):
        return None
    names = [*policy.collection_names, *_resolve_aliases(policy, keys)]
    return CoveringPolicy(
        policy_id=policy.policy_id,
        db_name=policy.db_name,
        collection_names=frozenset(names),
        cron=cron,
        timezone=policy.timezone,
        created_at=policy.created_at,
    )


def _resolve_aliases(policy: BackupPolicy, keys: Collection[CollectionKey]) -> list[str]:
    """Return the collections of the last backup with the same selection. A selected name that is
    not a collection may be an alias of one of them.
    """
    if all((policy.db_name, name) in keys for name in policy.collection_names):
        return []
    good = Backup.objects.good().filter(cluster=policy.cluster_id, policy_id=policy.policy_id)
    last = good.filter(requested_collections=policy.collection_names).first()
    return [collection["name"] for collection in last.collections] if last else []


def _newest_backups(
    cluster_id: str, keys: Collection[CollectionKey], **conditions: object
) -> dict[CollectionKey, BackupRef]:
    """Return the newest good backup per collection. Stops reading when every collection has one."""
    good = Backup.objects.good().filter(cluster=cluster_id, **conditions)
    rows = good.values_list("pk", "created_at", "db_name", "collections")
    newest: dict[CollectionKey, BackupRef] = {}
    for backup_id, created_at, db_name, collections in rows.iterator(READ_BATCH_SIZE):
        if len(newest) == len(keys):
            break
        backup = BackupRef(backup_id=backup_id, created_at=created_at)
        for key in ((db_name, collection["name"]) for collection in collections):
            if key in keys:
                newest.setdefault(key, backup)
    return newest


def _coverage_of(
    collection: KnownCollection,
    policies: list[CoveringPolicy],
    newest: BackupRef | None,
    proven: BackupRef | None,
) -> Coverage:
    """Compute the coverage. The policy with the earliest RPO deadline decides."""
    key = collection.db_name, collection.name
    deadlines = [
        (policy.deadline_of(collection, newest), policy.policy_id)
        for policy in policies
        if policy.covers(key)
    ]
    deadline, policy_id = min(deadlines, default=(None, None))
    return Coverage(
        policy_id=policy_id,
        rpo_deadline=deadline,
        newest_backup_id=newest.backup_id if newest else None,
        proven_backup_id=proven.backup_id if proven else None,
    )


@lru_cache(maxsize=4096)
def _rpo_deadline(cron: Cron, timezone: str, since: datetime) -> datetime:
    """Cached, because all collections of one backup have the same deadline."""
    return rpo_deadline(cron, zone_of(timezone), since)
