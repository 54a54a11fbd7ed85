from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "vbase_console.api"
    label = "console_api"
    verbose_name = "API"
