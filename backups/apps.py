from __future__ import annotations

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "backups"

    def ready(self) -> None:
        from backups import jobs
        from backups.cluster_protection import BackupClusterProtection
        from backups.store_health import store_health
        from clusters import protection
        from vbase_console.core import component_health

        jobs.register_all()
        component_health.register("store", store_health)
        protection.register(BackupClusterProtection())
