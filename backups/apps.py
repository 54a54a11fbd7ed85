from __future__ import annotations

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "backups"

    def ready(self) -> None:
        from backups import jobs
        from backups.guardian import BackupGuardian
        from backups.policies.dispatch import overdue_since
        from clusters import protection
        from vbase_console import overdue

        jobs.register_all()
        protection.register(BackupGuardian())
        overdue.register(overdue_since)
