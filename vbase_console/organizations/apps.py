from __future__ import annotations

from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    name = "vbase_console.organizations"
    label = "organizations"

    def ready(self) -> None:
        from vbase_console.organizations import sessions

        sessions.connect_signals()
