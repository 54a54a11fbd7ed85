from __future__ import annotations

from django.apps import AppConfig


class ProtectionConfig(AppConfig):
    name = "backups.protection"
    label = "protection"
