from __future__ import annotations

from django.apps import AppConfig


class ClustersConfig(AppConfig):
    name = "clusters"

    def ready(self) -> None:
        from clusters import jobs, rollouts
        from clusters.attachments import cluster_listeners
        from clusters.driver import confinement
        from vbase_console.core import component_health, listeners
        from vbase_console.tasks.signals import task_finished

        jobs.register_all()
        component_health.register("confinement", confinement)
        listeners.register(cluster_listeners)
        task_finished.connect(rollouts.continue_after)
