from __future__ import annotations

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "backups.policies"
    label = "policies"

    def ready(self) -> None:
        from backups.policies.dispatch import overdue_since
        from vbase_console.core import overdue

        overdue.register(overdue_since)
