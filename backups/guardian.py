"""What clusters ask of us: how well one is protected, and what becomes of its backups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Max, Min

from backups import services
from backups.models import Backup, BackupPolicy
from backups.policies.services import deactivate_policies_of
from backups.states import BackupStatus
from clusters.models import Cluster
from clusters.protection import Protection
from vbase_console.errors import ConsoleError


class BackupGuardian:
    """Implements `clusters.protection.Guardian`."""

    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        facts: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in [*self._newest(cluster_ids), *self._planned(cluster_ids)]:
            facts[row.pop("cluster_id")] |= row
        return {cluster_id: Protection(**known) for cluster_id, known in facts.items()}

    def _newest(self, cluster_ids: Sequence[str]) -> list[dict[str, Any]]:
        backups = Backup.objects.filter(cluster__in=cluster_ids, status=BackupStatus.AVAILABLE)
        of_each = backups.order_by().values("cluster_id")
        newest = of_each.annotate(last_backup_at=Max("created_at"), last_proven_at=Max("proven_at"))
        return [dict(row) for row in newest]

    def _planned(self, cluster_ids: Sequence[str]) -> list[dict[str, Any]]:
        of_each = BackupPolicy.objects.filter(cluster__in=cluster_ids).order_by()
        counted = of_each.values("cluster_id").annotate(
            policy_count=Count("pk"), next_backup_at=Min("next_run_at")
        )
        return [dict(row) for row in counted]

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        available = list(cluster.backups.available())
        kept = [b for b in available if not (delete_backups and self._deleted(b, by))]
        gone = len(available) - len(kept)
        said = [f"{gone} of its backups go with it."] if gone else []
        if kept:
            said.append(f"It keeps {len(kept)}: {', '.join(backup.name for backup in kept)}.")
        paused = deactivate_policies_of(cluster)
        if paused:
            said.append(f"{paused} of its policies are paused and stay listed.")
        return " ".join(said)

    def _deleted(self, backup: Backup, by: str) -> bool:
        """Pinned ones, and those that somebody restores from, stay."""
        try:
            services.delete_backup(backup, by=by)
        except ConsoleError:
            return False
        return True
