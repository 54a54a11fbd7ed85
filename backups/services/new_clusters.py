"""Restores into a new cluster: plan and submit them, and remove the cluster after a failure.

The DEPLOYMENT and the restores are enqueued in one transaction and have the lock of the new
cluster, so that the restores wait for the deployment. A failed one removes the cluster.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import Any

from django.db import transaction

from backups.milvus.server import ServerInfo
from backups.models import Backup, BackupJob
from backups.names import DEFAULT_DATABASE
from backups.restore.preflight import Preflight, RestoreOptions, RestoreTarget, preflight
from backups.services.locks import lock_backup, require_available
from backups.services.restores import enqueue_restore, manifest_for_restore, raise_refusal
from clusters.admission import unfinished
from clusters.driver import capabilities_of, default_driver, driver_of
from clusters.models import Cluster, configured_driver
from clusters.outcomes import CONSOLE
from clusters.resources import resources_of
from clusters.services import create_cluster, delete_cluster, name_taken, plan_cluster
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.organizations import audit
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import add_to_message
from vbase_console.tasks.states import TaskState

MAX_SEARCHED = 1000
"""Limit of the newest good backups of a cluster that are searched for databases and policies."""
NEWEST_OFFERED = 10
"""Number of newest backups of a database that are offered for a clone, whatever they contain."""
NEWEST_OF_POLICY = 2
"""Number of newest backups of a database and a policy that are offered, because policies back up
different collections.
"""
PRESET_AGE = timedelta(days=8)
"""A preset backup is at most this much older than the newest one, so a weekly one is included."""
MAX_NAMED = 5
MAX_CLUSTER_NAME = 63
REMEDY = "Remove the cause, then restore the backup again."


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewCluster:
    """Requested cluster. `resources` that are left out have the defaults of CreateCluster."""

    name: str
    resources: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, object] = dataclasses.field(default_factory=dict)


Restores = Sequence[tuple[Backup, RestoreOptions]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreIntoNewCluster:
    """Checked restores that fill one new cluster. Nothing is stored before `submit`."""

    new: NewCluster
    restores: Restores

    @transaction.atomic
    def submit(self, principal: Principal) -> list[BackupJob]:
        """Create the cluster and enqueue one job for each backup."""
        locked = {}
        for backup in sorted((backup for backup, _ in self.restores), key=lambda each: each.pk):
            locked[backup.pk] = lock_backup(backup)
            require_available(locked[backup.pk])
        cluster, _ = create_cluster(
            principal, name=self.new.name, resources=self.new.resources, labels=self.new.labels
        )
        return [
            enqueue_restore(
                locked[backup.pk], cluster, options, by=principal.label, fills_new_cluster=True
            )
            for backup, options in self.restores
        ]


def plan_into_new_cluster(
    principal: Principal, new: NewCluster, restores: Restores
) -> RestoreIntoNewCluster:
    """Check restores into a new cluster. Reads archives, so call this outside of transactions."""
    for result in preview_into_new_cluster(principal, new, restores):
        raise_refusal(result)
    return RestoreIntoNewCluster(new=new, restores=restores)


def preview_into_new_cluster(
    principal: Principal, new: NewCluster, restores: Restores
) -> list[Preflight]:
    """Report the effect of restores into a new cluster, without a server. Changes nothing."""
    cluster = plan_cluster(principal, name=new.name, resources=new.resources, labels=new.labels)
    named = Cluster.objects.visible_to(principal).filter(name=cluster.name)
    if named.exclude(status=ServiceStatus.DELETED).exists():
        raise name_taken(cluster.name)
    server = ServerInfo(version=capabilities_of(cluster).reported_prefix + cluster.version)
    free_bytes = driver_of(cluster).free_bytes_for_new()
    results = []
    for backup, options in restores:
        require_available(backup)
        target = RestoreTarget(exists=options.db_name == DEFAULT_DATABASE, aliases_of={})
        manifest = manifest_for_restore(backup)
        result = preflight(manifest, options, target, server, free_bytes, backup.findings)
        if free_bytes is not None:  # the earlier restores have used their space by then
            free_bytes = max(0, free_bytes - result.required_bytes)
        results.append(result)
    return results


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloneCandidates:
    """Good backups of one database, newest first, from which a clone can be made."""

    db_name: str
    backups: Sequence[Backup]
    newest_of: Mapping[str, str]
    """Known collection → its newest good backup, empty if there is none; see `Inventory`."""
    may_lack: bool = False
    """True if the inventory does not know the database and older backups are not offered."""

    @property
    def preset(self) -> Backup:
        """The most complete backup of the last days, the newest of several."""
        oldest = self.backups[0].created_at - PRESET_AGE
        recent = [backup for backup in self.backups if backup.created_at >= oldest]
        return max(recent, key=lambda backup: len(_names_in(backup.collections)))

    def describe(self, backup: Backup) -> str:
        """Describe a backup by its time and content, and name the collections that it lacks."""
        names = _names_in(backup.collections)
        text = (
            f"{backup.created_at:%Y-%m-%d %H:%M} UTC: {len(names):,} "
            f"collection{'' if len(names) == 1 else 's'}, {backup.row_count or 0:,} rows"
        )
        lacks = self.offered_names.union(self.newest_of) - names
        return f"{text}; lacks {shortened(lacks)}" if lacks else text

    @cached_property
    def offered_names(self) -> frozenset[str]:
        """Collections that the offered backups contain."""
        return frozenset().union(*(_names_in(backup.collections) for backup in self.backups))

    @property
    def remark(self) -> str:
        """Sentences about the collections that no choice clones, empty if there are none."""
        sentences = []
        offered = self.offered_names
        lacking = {name: newest for name, newest in self.newest_of.items() if name not in offered}
        if never := [name for name, newest in lacking.items() if not newest]:
            sentences.append(f"In no good backup, so not cloned: {shortened(never)}.")
        if elsewhere := [name for name, newest in lacking.items() if newest]:
            sentences.append(
                f"In good backups that are not offered: {shortened(elsewhere)}. Restore them into "
                "the clone afterwards. Protection links the latest good backup of each collection."
            )
        if not any(offered <= _names_in(backup.collections) for backup in self.backups):
            sentences.append(
                "None of these backups contains all collections, and a clone has one backup of "
                "each database. Restore the lacking collections into the clone afterwards, from "
                "another backup."
            )
        if self.may_lack:
            sentences.append(
                "Older backups are not offered and may contain further collections. Restore them "
                "into the clone afterwards."
            )
        return " ".join(sentences)


def _names_in(collections: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(collection["name"] for collection in collections)


def shortened(names: Collection[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return ", ".join(sorted(names)[:MAX_NAMED]) + more


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloneOffer:
    """Backups from which a cluster can be cloned."""

    databases: Sequence[CloneCandidates]
    left_out: Sequence[str]
    """Databases that have collections and no good backup."""
    searched: int = 0
    """Number of searched backups, if there are more and no inventory names the databases."""

    @property
    def has_access_control(self) -> bool:
        return any(
            backup.has_access_control for database in self.databases for backup in database.backups
        )


Inventory = Mapping[str, Mapping[str, str]]
"""Database → known collection → its newest good backup, see `observers.known_collections_of`."""


def clone_offer(principal: Principal, cluster: Cluster, inventory: Inventory) -> CloneOffer:
    """Offer the newest good backups of each database and policy, and those that are the newest one
    of most known collections. Reads a bounded number of rows, however long the history is.
    """
    good = Backup.objects.good().visible_to(principal).filter(cluster=cluster)
    newest = list(good.values_list("pk", "db_name", "policy_id")[: MAX_SEARCHED + 1])
    of_database, of_policy = Counter[str](), Counter[tuple[str, str]]()
    offered, passed_over = set[str](), set[str]()
    for pk, db_name, policy_id in newest:
        of_database[db_name] += 1
        of_policy[db_name, policy_id] += 1
        is_new = of_database[db_name] <= NEWEST_OFFERED
        if is_new or of_policy[db_name, policy_id] <= NEWEST_OF_POLICY:
            offered.add(pk)
        else:
            passed_over.add(db_name)
    for newest_of in inventory.values():
        others = Counter(pk for pk in newest_of.values() if pk and pk not in offered)
        offered |= {pk for pk, _ in others.most_common(NEWEST_OFFERED)}
    backups: dict[str, list[Backup]] = defaultdict(list)
    for backup in good.filter(pk__in=offered):
        backups[backup.db_name].append(backup)
    is_cut = len(newest) > MAX_SEARCHED
    return CloneOffer(
        databases=[
            CloneCandidates(
                db_name=name,
                backups=backups[name],
                newest_of=inventory.get(name, {}),
                may_lack=name not in inventory and (is_cut or name in passed_over),
            )
            for name in sorted(backups)
        ],
        left_out=sorted(set(inventory) - set(backups)),
        searched=MAX_SEARCHED if is_cut and not inventory else 0,
    )


def resources_like(cluster: Cluster) -> dict[str, Any]:
    """Return the resources of a cluster for a new one, as far as new clusters can have them."""
    offered = default_driver().capabilities
    if cluster.driver != configured_driver():
        return {}
    resources = resources_of(cluster).as_dict()
    del resources["autoscaled_units"]
    if cluster.version not in offered.versions:
        del resources["version"]
    return resources


def free_cluster_name(principal: Principal, cluster: Cluster, purpose: str) -> str:
    """Return the name of a cluster, shortened, and the purpose of its copy. Numbered if an existing
    cluster has this name.
    """
    living = Cluster.objects.visible_to(principal).exclude(status=ServiceStatus.DELETED)
    longest = MAX_CLUSTER_NAME - len(f"-{purpose}-999")
    stem = f"{cluster.name[:longest].rstrip()}-{purpose}"
    taken = set(living.filter(name__startswith=stem).values_list("name", flat=True))
    names = (f"{stem}-{number}" if number > 1 else stem for number in count(1))
    return next(name for name in names if name not in taken)


def remove_new_cluster(job: BackupJob, task: Task) -> None:
    """Delete the cluster of a restore that did not succeed, unless its deletion is accepted
    already. Called in the transaction that ends the task, which then names what is left.
    """
    cluster = Cluster.objects.locked(job.cluster_id)
    if cluster.status == ServiceStatus.DELETED:
        return
    changes = {task.kind: task for task in unfinished(cluster)}
    deletion = changes.get(TaskKind.DELETION)
    if deletion is None and cluster.deletion_protection:
        content, steps = f"It contains no collection of {job.backup.name}.", "Retry this job"
        if cluster.condition == Condition.ABSENT and TaskKind.DEPLOYMENT not in changes:
            content, steps = "It was not deployed.", "Retry its deployment, then this job"
        add_to_message(
            task,
            f"The new cluster {cluster.name} is kept, because it is protected from deletion. "
            f"{content} {steps}; or switch deletion protection off and delete the cluster.",
        )
        return
    if deletion is None:
        reason = f"The restore that should fill it did not succeed ({task.task_id})."
        deletion, _ = delete_cluster(cluster, by=task.requested_by, reason=reason)
        audit.record(
            organization_id=cluster.organization_id,
            principal=CONSOLE,
            action="DeleteCluster",
            object_id=cluster.cluster_id,
            source=None,
            interface=audit.Interface.CONSOLE,
            detail=deletion.task_id,
        )
    remedy = f" {REMEDY}" if task.state == TaskState.FAILED else ""
    add_to_message(
        task,
        f"The new cluster {cluster.name} is removed by {deletion.task_id} (DELETION). "
        f"The backup is unchanged.{remedy}",
    )
