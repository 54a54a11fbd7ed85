from __future__ import annotations

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "backups"

    def ready(self) -> None:
        from backups import jobs
        from backups.cluster_protection import BackupClusterProtection
        from clusters import protection

        jobs.register_all()
        protection.register(BackupClusterProtection())
