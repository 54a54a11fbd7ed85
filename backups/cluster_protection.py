"""Backups as seen by clusters: backup status, and the effect of a cluster's deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from backups import observers
from backups.discovery import collections_of, databases_of
from backups.models import Backup
from backups.observers import PolicySummary
from backups.services.backups import BackupRequest, default_name, delete_backup
from backups.states import JobKind
from clusters.models import Cluster
from clusters.protection import Protection
from vbase_console.core.errors import ConsoleError
from vbase_console.core.prepared import PreparedByIds
from vbase_console.tasks.models import Task

_AHEAD = 10
"""Priority of backups that a task waits for, above the priority of that task."""


def _newest(cluster_ids: Sequence[str]) -> QuerySet[Cluster, tuple[Any, ...]]:
    """Clusters with the times of their newest good backup and of the latest proof of one."""
    good = Backup.objects.good().filter(cluster=OuterRef("pk"))
    proven = good.filter(proven_at__isnull=False).order_by("-proven_at")
    times = Subquery(good.values("created_at")[:1]), Subquery(proven.values("proven_at")[:1])
    return Cluster.objects.filter(pk__in=cluster_ids).order_by().values_list("pk", *times)


_NEWEST = PreparedByIds(_newest)


class BackupClusterProtection:
    """Implements `clusters.protection.ClusterProtection`."""

    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        newest = {cluster_id: times for cluster_id, *times in _NEWEST.rows(cluster_ids)}
        policies = observers.policy_summary_of(cluster_ids)
        protection = {}
        for cluster_id in cluster_ids:
            last_backup_at, last_proven_at = newest.get(cluster_id, (None, None))
            summary = policies.get(cluster_id, PolicySummary())
            protection[cluster_id] = Protection(
                policy_count=summary.policy_count,
                last_backup_at=last_backup_at,
                last_proven_at=last_proven_at,
                next_backup_at=summary.next_run_at,
            )
        return protection

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        available = list(cluster.backups.available())
        kept = [backup for backup in available if not (delete_backups and self._delete(backup, by))]
        sentences = []
        if deleted_count := len(available) - len(kept):
            sentences.append(f"Backups deleted with it: {deleted_count}.")
        if kept:
            names = [
                f"{backup.name} (damaged)" if backup.is_damaged else backup.name for backup in kept
            ]
            sentences.append(f"Backups kept: {len(kept)} ({', '.join(names)}).")
        if effect := observers.cluster_deleting(cluster):
            sentences.append(effect)
        return " ".join(sentences)

    def databases_with_rows(self, cluster: Cluster) -> list[str]:
        return [name for name in databases_of(cluster) if collections_of(cluster, name)]

    def back_up(self, cluster: Cluster, databases: Sequence[str], *, by: str) -> list[str]:
        jobs = []
        for database in databases:
            backup = Backup(
                organization_id=cluster.organization_id,
                cluster=cluster,
                name=default_name(database),
                db_name=database,
            )
            request = BackupRequest(backup=backup, collection_names=[])
            jobs.append(request.submit(by=by, locked=cluster, limited=False, priority=_AHEAD))
        return [job.task.task_id for job in jobs]

    def filled_by(self, cluster: Cluster) -> Task | None:
        restores = Task.objects.filter(lock=cluster.lock, kind=JobKind.RESTORE).active()
        filling = restores.filter(backup_job__options__fills_new_cluster=True)
        return filling.in_queue_order().first()

    def _delete(self, backup: Backup, by: str) -> bool:
        """Pinned backups and backups in use by a restore are kept."""
        try:
            delete_backup(backup, by=by, limited=False)
        except ConsoleError:
            return False
        return True
