"""Restores into a new cluster: plan and submit them, and remove the cluster after a failure.

The DEPLOYMENT and the restores are enqueued in one transaction and have the lock of the new
cluster, so that the restores wait for the deployment. A failed one removes the cluster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from django.db import transaction

from backups.milvus.server import ServerInfo
from backups.models import Backup, BackupJob
from backups.names import DEFAULT_DATABASE
from backups.restore.preflight import Preflight, RestoreOptions, RestoreTarget, preflight
from backups.services.locks import lock_backup, require_available
from backups.services.restores import enqueue_restore, manifest_for_restore, raise_refusal
from clusters.driver import capabilities_of, default_driver, driver_of
from clusters.models import Cluster, configured_driver
from clusters.resources import resources_of
from clusters.services import create_cluster, delete_cluster, name_taken, plan_cluster
from clusters.states import ServiceStatus, TaskKind
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import add_to_message

MAX_SCANNED = 200
"""Limit of the latest backups of a cluster that are searched for candidates."""
MAX_CANDIDATES = 10
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

    def describe(self, backup: Backup) -> str:
        """Describe a backup by its time and content, and name what only other candidates have."""
        names = {collection["name"] for collection in backup.collections}
        known = {name["name"] for each in self.backups for name in each.collections}
        text = (
            f"{backup.created_at:%Y-%m-%d %H:%M} UTC: {len(names):,} "
            f"collection{'' if len(names) == 1 else 's'}, {backup.row_count or 0:,} rows"
        )
        lacks = sorted(known - names)
        more = f" and {len(lacks) - MAX_NAMED} more" if len(lacks) > MAX_NAMED else ""
        return f"{text}; lacks {', '.join(lacks[:MAX_NAMED])}{more}" if lacks else text


def clone_candidates(principal: Principal, cluster: Cluster) -> list[CloneCandidates]:
    """Find the newest good backups of each database, among the latest ones of the cluster."""
    good = Backup.objects.good().visible_to(principal).filter(cluster=cluster)
    of_database: dict[str, list[Backup]] = {}
    for backup in good[:MAX_SCANNED]:
        of_database.setdefault(backup.db_name, []).append(backup)
    return [
        CloneCandidates(db_name=name, backups=backups[:MAX_CANDIDATES])
        for name, backups in sorted(of_database.items())
    ]


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


def free_cluster_name(principal: Principal, wanted: str) -> str:
    """Return `wanted`, shortened and numbered if an existing cluster has the name."""
    living = Cluster.objects.visible_to(principal).exclude(status=ServiceStatus.DELETED)
    stem = wanted[: MAX_CLUSTER_NAME - 4]
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
    deletions = Task.objects.about(cluster.cluster_id).active().filter(kind=TaskKind.DELETION)
    deletion = deletions.first()
    if deletion is None and cluster.deletion_protection:
        add_to_message(
            task,
            f"The new cluster {cluster.name} is kept, because it is protected from deletion. It "
            f"contains no collection of {job.backup.name}. Restore into it or delete it.",
        )
        return
    if deletion is None:
        reason = f"The restore that should fill it did not succeed ({task.task_id})."
        deletion, _ = delete_cluster(cluster, by=task.requested_by, reason=reason)
    add_to_message(
        task,
        f"The new cluster {cluster.name} is removed by {deletion.task_id} (DELETION). "
        f"The backup is unchanged. {REMEDY}",
    )
