"""How well each known collection of a cluster is protected: worked out from its policies and its
backups, and written down.

Called wherever one of them changes, with the cluster's row held, so that no two judge at once.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable
from copy import copy
from datetime import datetime
from functools import lru_cache

from django.db.models import Q

from backups.models import Backup
from backups.policies.cron import BadCron, BadZone, Cron, parse, zone_of
from backups.policies.models import BackupPolicy
from backups.policies.observers import CollectionKey
from backups.policies.rpo import covers, rpo_deadline
from backups.protection.models import KnownCollection

WRITE_BATCH_SIZE = 500
READ_BATCH_SIZE = 100
KEY = ("db_name", "name")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoveringPolicy:
    """An active policy, as far as it matters here."""

    policy_id: str
    db_name: str
    chosen: frozenset[str]
    cron: Cron
    timezone: str
    made_at: datetime

    def covers(self, key: CollectionKey) -> bool:
        db_name, name = key
        return db_name == self.db_name and covers(self.chosen, name)

    def ends_at(self, since: datetime) -> datetime:
        return _ends_at(self.cron, self.timezone, since)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRef:
    """A good backup that holds a collection."""

    backup_id: str
    created_at: datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage:
    """The columns of a known collection that are worked out."""

    policy_id: str | None
    rpo_deadline: datetime | None
    newest_backup_id: str | None
    proven_backup_id: str | None


def update_coverage(cluster_id: str) -> int:
    """Bring what is known of a cluster's collections up to date; answers how many changed."""
    known = list(KnownCollection.objects.filter(cluster=cluster_id))
    keys = {(each.db_name, each.name) for each in known}
    if not keys:
        return 0
    promises = _promises(cluster_id, keys)
    newest, proven = _newest(cluster_id, keys), _newest(cluster_id, keys, proven_at__isnull=False)
    changed: dict[Coverage, list[int]] = defaultdict(list)
    for each in known:
        key = each.db_name, each.name
        verdict = _verdict(each, promises, newest.get(key), proven.get(key))
        if verdict != _written(each):
            changed[verdict].append(each.pk)
    return sum(_write(verdict, pks) for verdict, pks in changed.items())


def update_coverage_of(backup: Backup) -> None:
    update_coverage(backup.cluster_id)


def update_coverage_without(backup: Backup) -> int:
    """It is on its way out. Most that go are old: then nothing counted on them."""
    counts = Q(newest_backup=backup) | Q(proven_backup=backup)
    if not KnownCollection.objects.filter(counts, cluster=backup.cluster_id).exists():
        return 0
    return update_coverage(backup.cluster_id)


def collections_losing_coverage(
    policy: BackupPolicy, *, db_name: str, collection_names: list[str]
) -> list[CollectionKey]:
    """Known collections that this policy takes, and that none would take if it took these."""
    keys = set(KnownCollection.objects.filter(cluster=policy.cluster_id).values_list(*KEY))
    promises = {each.policy_id: each for each in _promises(policy.cluster_id, keys)}
    now = promises.pop(policy.policy_id, None)
    if now is None:
        return []
    changed = copy(policy)
    changed.db_name, changed.collection_names = db_name, collection_names
    then = [*promises.values(), *filter(None, [_promise_of(changed, keys)])]
    return sorted(key for key in keys if now.covers(key) and not _covered(key, then))


def _covered(key: CollectionKey, promises: Iterable[CoveringPolicy]) -> bool:
    return any(each.covers(key) for each in promises)


def _promises(cluster_id: str, keys: Collection[CollectionKey]) -> list[CoveringPolicy]:
    policies = BackupPolicy.objects.filter(cluster=cluster_id, is_active=True)
    return [promise for policy in policies if (promise := _promise_of(policy, keys))]


def _promise_of(policy: BackupPolicy, keys: Collection[CollectionKey]) -> CoveringPolicy | None:
    """A schedule that cannot be understood any more never fires: it promises nothing."""
    try:
        cron, _ = parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone):
        return None
    return CoveringPolicy(
        policy_id=policy.policy_id,
        db_name=policy.db_name,
        chosen=frozenset([*policy.collection_names, *_behind_aliases(policy, keys)]),
        cron=cron,
        timezone=policy.timezone,
        made_at=policy.created_at,
    )


def _behind_aliases(policy: BackupPolicy, keys: Collection[CollectionKey]) -> list[str]:
    """A chosen name that is no collection may be an alias: what the last backup of the same choice
    holds is what stands behind it.
    """
    if all((policy.db_name, name) in keys for name in policy.collection_names):
        return []
    good = Backup.objects.good().filter(cluster=policy.cluster_id, policy_id=policy.policy_id)
    last = good.filter(requested_collections=policy.collection_names).first()
    return [each["name"] for each in last.collections] if last else []


def _newest(
    cluster_id: str, keys: Collection[CollectionKey], **more: object
) -> dict[CollectionKey, BackupRef]:
    """Of each collection the newest good backup that holds it. Reading ends when all are found."""
    good = Backup.objects.good().filter(cluster=cluster_id, **more)
    rows = good.values_list("pk", "created_at", "db_name", "collections")
    found: dict[CollectionKey, BackupRef] = {}
    for backup_id, created_at, db_name, collections in rows.iterator(READ_BATCH_SIZE):
        if len(found) == len(keys):
            break
        held = BackupRef(backup_id=backup_id, created_at=created_at)
        for key in ((db_name, each["name"]) for each in collections):
            if key in keys:
                found.setdefault(key, held)
    return found


def _verdict(
    collection: KnownCollection,
    promises: list[CoveringPolicy],
    newest: BackupRef | None,
    proven: BackupRef | None,
) -> Coverage:
    """The promise that ends first counts. Of what no backup holds yet the first run is expected
    after it appeared, or after the policy did.
    """
    key = collection.db_name, collection.name
    ends = [
        (each.ends_at(newest.created_at if newest else _begins(collection, each)), each.policy_id)
        for each in promises
        if each.covers(key)
    ]
    rpo_deadline, policy_id = min(ends, default=(None, None))
    return Coverage(
        policy_id=policy_id,
        rpo_deadline=rpo_deadline,
        newest_backup_id=newest.backup_id if newest else None,
        proven_backup_id=proven.backup_id if proven else None,
    )


def _begins(collection: KnownCollection, promise: CoveringPolicy) -> datetime:
    return max(collection.first_seen_at, promise.made_at)


@lru_cache(maxsize=4096)
def _ends_at(cron: Cron, timezone: str, since: datetime) -> datetime:
    """The collections of one backup share the answer."""
    return rpo_deadline(cron, zone_of(timezone), since)


def _written(collection: KnownCollection) -> Coverage:
    return Coverage(
        policy_id=collection.policy_id,
        rpo_deadline=collection.rpo_deadline,
        newest_backup_id=collection.newest_backup_id,
        proven_backup_id=collection.proven_backup_id,
    )


def _write(verdict: Coverage, pks: list[int]) -> int:
    """Collections of one backup share the verdict, so a few statements write thousands."""
    values = dataclasses.asdict(verdict)
    for start in range(0, len(pks), WRITE_BATCH_SIZE):
        KnownCollection.objects.filter(pk__in=pks[start : start + WRITE_BATCH_SIZE]).update(
            **values
        )
    return len(pks)
