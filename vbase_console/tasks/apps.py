from __future__ import annotations

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "vbase_console.tasks"
    label = "tasks"

    def ready(self) -> None:
        from vbase_console.tasks.progress import progress_of
        from vbase_console.web import live

        live.progress_of.register(progress_of)
