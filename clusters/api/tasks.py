from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from clusters import services
from clusters.admission import unfinished
from clusters.api import examples
from clusters.api.base import ClusterView, serialize_tasks
from clusters.api.requests import TaskBody
from clusters.api.responses import (
    InProgressTasksResponse,
    ServiceTaskDetailSerializer,
    TaskDetailResponse,
    TaskHistoryResponse,
    TaskOfCluster,
    TaskResponse,
)
from clusters.models import Cluster
from vbase_console.api.operations import Operation
from vbase_console.api.paging import Paging, page_of
from vbase_console.api.serializers import answer
from vbase_console.organizations.scopes import GET_CLUSTER
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for

TAG = "Tasks"


class InProgressTasks(ClusterView):
    operations = {
        "GET": Operation(
            name="GetClusterInProgressTasks",
            summary="List the unfinished tasks of a cluster",
            tag=TAG,
            scope=GET_CLUSTER,
            answer=InProgressTasksResponse,
            answer_example=examples.IN_PROGRESS_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str) -> Response:
        """List the running and waiting tasks of a cluster, in queue order."""
        cluster = self.cluster(cluster_id)
        return Response(answer(tasks=serialize_tasks(cluster, unfinished(cluster))))


class TaskHistory(ClusterView):
    operations = {
        "GET": Operation(
            name="ListClusterTasks",
            summary="List the tasks of a cluster",
            tag=TAG,
            scope=GET_CLUSTER,
            query=Paging,
            answer=TaskHistoryResponse,
            answer_example=examples.HISTORY_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str) -> Response:
        """List all tasks of a cluster, newest first."""
        cluster = self.cluster(cluster_id)
        rows, total = page_of(self.tasks_of(cluster).order_by("-pk"), self.asked)
        return Response(answer(tasks=serialize_tasks(cluster, rows), total=total))


class OneTask(ClusterView):
    operations = {
        "GET": Operation(
            name="GetClusterTask",
            summary="Read a task of a cluster",
            tag=TAG,
            scope=GET_CLUSTER,
            answer=TaskDetailResponse,
            answer_example=examples.TASK_DETAIL_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str, task_id: str) -> Response:
        """Read one task with its events."""
        cluster = self.cluster(cluster_id)
        task = self.tasks_of(cluster).get_visible(self.principal, task_id=task_id)
        return Response(
            answer(task=ServiceTaskDetailSerializer.of(TaskOfCluster(cluster=cluster, task=task)))
        )


class TaskRequest(ClusterView):
    """Base of requests about a task. They need the scope of the task's kind."""

    def post(self, request: Request, cluster_id: str, task_id: str) -> Response:
        cluster = self.cluster(cluster_id)
        task = self.tasks_of(cluster).get_visible(self.principal, task_id=task_id)
        self.call.require(job_for(task.kind).scope)
        self.given()
        result = self.perform(cluster, task)
        return self.task_accepted(
            cluster, result, answer(task=serialize_tasks(cluster, [result])[0])
        )

    def perform(self, cluster: Cluster, task: Task) -> Task:
        raise NotImplementedError


def request_operation(name: str, summary: str) -> dict[str, Operation]:
    return {
        "POST": Operation(
            name=name,
            summary=summary,
            tag=TAG,
            scope_rule="the scope of the task's kind",
            body=TaskBody,
            answer=TaskResponse,
            changes=True,
            starts_task=True,
            answer_example=examples.TASK_ANSWER,
        )
    }


class CancelTask(TaskRequest):
    """Cancel a task. A waiting task ends at once, a running one at its next safe point."""

    operations = request_operation("CancelTask", "Cancel a task")

    def perform(self, cluster: Cluster, task: Task) -> Task:
        return services.cancel_task(task, by=self.principal.label)


class RetryTask(TaskRequest):
    """Repeat a failed or cancelled task. The answer contains the new task."""

    operations = request_operation("RetryTask", "Retry a task")

    def perform(self, cluster: Cluster, task: Task) -> Task:
        return services.retry_task(cluster, task, by=self.principal.label)
