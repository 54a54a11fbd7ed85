from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """App without models, installed for its template tags."""

    name = "vbase_console.web"
    label = "web"
