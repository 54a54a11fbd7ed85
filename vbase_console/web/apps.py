from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """No models: an app, so that templates find its tags."""

    name = "vbase_console.web"
    label = "web"
