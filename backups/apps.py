from __future__ import annotations

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "backups"

    def ready(self) -> None:
        from backups import jobs
        from backups.cluster_protection import BackupClusterProtection
        from backups.connections import store_listeners
        from backups.services.store_health import store_health
        from clusters import protection
        from vbase_console.core import component_health, listeners

        jobs.register_all()
        listeners.register(store_listeners)
        component_health.register("store", store_health)
        protection.register(BackupClusterProtection())
