"""What clusters ask of us: how well one is protected, and what becomes of its backups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.services import deactivate_policies_of
from backups.services.backups import delete_backup
from clusters.models import Cluster
from clusters.protection import Protection
from vbase_console.core.errors import ConsoleError

Newest = tuple[datetime, datetime | None]
"""When the newest backup was made, and when one was last proven."""


def _named(backup: Backup) -> str:
    return f"{backup.name} (damaged)" if backup.is_damaged else backup.name


class BackupClusterProtection:
    """Implements `clusters.protection.Guardian`."""

    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        newest, planned = self._newest(cluster_ids), self._planned(cluster_ids)
        return {each: self._told(newest.get(each), planned.get(each, [])) for each in cluster_ids}

    def _told(self, newest: Newest | None, planned: Sequence[datetime | None]) -> Protection:
        last_backup_at, last_proven_at = newest or (None, None)
        return Protection(
            policy_count=len(planned),
            last_backup_at=last_backup_at,
            last_proven_at=last_proven_at,
            next_backup_at=min(filter(None, planned), default=None),
        )

    def _newest(self, cluster_ids: Sequence[str]) -> dict[str, Newest]:
        good = Backup.objects.good().filter(cluster__in=cluster_ids)
        of_each = good.order_by().values_list("cluster_id")
        newest = of_each.annotate(Max("created_at"), Max("proven_at"))
        return {cluster_id: (backup, proven) for cluster_id, backup, proven in newest}

    def _planned(self, cluster_ids: Sequence[str]) -> dict[str, list[datetime | None]]:
        """Not counted by the database: a cluster has a handful of policies, and a statement that
        groups takes longer to write than their rows to read.
        """
        planned: dict[str, list[datetime | None]] = defaultdict(list)
        of_each = BackupPolicy.objects.filter(cluster__in=cluster_ids).order_by()
        for cluster_id, next_run_at in of_each.values_list("cluster_id", "next_run_at"):
            planned[cluster_id].append(next_run_at)
        return planned

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        available = list(cluster.backups.available())
        kept = [b for b in available if not (delete_backups and self._deleted(b, by))]
        gone = len(available) - len(kept)
        said = [f"{gone} of its backups go with it."] if gone else []
        if kept:
            said.append(f"It keeps {len(kept)}: {', '.join(map(_named, kept))}.")
        paused = deactivate_policies_of(cluster)
        if paused:
            said.append(f"{paused} of its policies are paused and stay listed.")
        return " ".join(said)

    def _deleted(self, backup: Backup, by: str) -> bool:
        """Pinned ones, and those that somebody restores from, stay."""
        try:
            delete_backup(backup, by=by, limited=False)
        except ConsoleError:
            return False
        return True
