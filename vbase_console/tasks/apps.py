from __future__ import annotations

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "vbase_console.tasks"
    label = "tasks"
