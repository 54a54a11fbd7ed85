"""What clusters ask of us: how well one is protected, and what becomes of its backups."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Max

from backups import services
from backups.models import Backup
from backups.states import BackupStatus
from clusters.models import Cluster
from clusters.protection import Protection
from vbase_console.errors import ConsoleError


class BackupGuardian:
    """Implements `clusters.protection.Guardian`."""

    def protection_of(self, cluster_ids: Sequence[str]) -> dict[str, Protection]:
        newest = (
            Backup.objects.filter(cluster__in=cluster_ids, status=BackupStatus.AVAILABLE)
            .order_by()
            .values("cluster_id")
            .annotate(last_backup_at=Max("created_at"), last_proven_at=Max("proven_at"))
        )
        return {
            row["cluster_id"]: Protection(
                last_backup_at=row["last_backup_at"], last_proven_at=row["last_proven_at"]
            )
            for row in newest
        }

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        available = list(cluster.backups.available())
        kept = [b for b in available if not (delete_backups and self._deleted(b, by))]
        gone = len(available) - len(kept)
        said = [f"{gone} of its backups go with it."] if gone else []
        if kept:
            said.append(f"It keeps {len(kept)}: {', '.join(backup.name for backup in kept)}.")
        return " ".join(said)

    def _deleted(self, backup: Backup, by: str) -> bool:
        """Pinned ones, and those that somebody restores from, stay."""
        try:
            services.delete_backup(backup, by=by)
        except ConsoleError:
            return False
        return True
