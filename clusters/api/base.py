from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from rest_framework.response import Response

from clusters.api.responses import ServiceTaskSerializer, TaskOfCluster
from clusters.models import Cluster
from vbase_console.api.serializers import accepted
from vbase_console.api.views import ApiView
from vbase_console.tasks.models import Task, TaskQuerySet


class ClusterView(ApiView):
    def cluster(self, cluster_id: str) -> Cluster:
        return Cluster.objects.get_visible(self.principal, cluster_id=cluster_id)

    def service(self, service_id: str) -> Cluster:
        return Cluster.objects.get_visible(self.principal, "service", service_id=service_id)

    def tasks_of(self, cluster: Cluster) -> TaskQuerySet:
        """Tasks that change the cluster itself. Its backups are listed as jobs."""
        return Task.objects.visible_to(self.principal).changes_of(cluster.cluster_id)

    def task_accepted(
        self, cluster: Cluster, task: Task, body: dict[str, Any] | None = None, more: str = ""
    ) -> Response:
        message = f"{task.task_id} ({task.kind}) was accepted. {more}".strip()
        return self.accepted(
            body or accepted(message),
            operation_id=task.task_id,
            location=reverse("api-task", args=[cluster.cluster_id, task.task_id]),
        )


def serialize_tasks(cluster: Cluster, tasks: Iterable[Task]) -> list[dict[str, Any]]:
    return [ServiceTaskSerializer.of(TaskOfCluster(cluster=cluster, task=task)) for task in tasks]
