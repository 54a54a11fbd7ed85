from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from clusters import services
from clusters.models import Cluster
from clusters.views.presenters import KINDS, TaskRow, task_row
from clusters.views.story import story_of_task
from clusters.views.timeline import phase_timeline_of
from vbase_console.organizations.scopes import GET_CLUSTER
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.web.forms import FormPage
from vbase_console.web.views import Page

READING_TASKS = {"GET": GET_CLUSTER}


class TaskPage(Page):
    scopes = READING_TASKS
    nav = "operations"

    @cached_property
    def task(self) -> Task:
        return Task.objects.filter(kind__in=KINDS).get_visible(
            self.principal, task_id=self.kwargs["task_id"]
        )

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster.objects.get_visible(self.principal, cluster_id=self.task.subject_id)

    @property
    def row(self) -> TaskRow:
        return task_row(self.principal, self.task, self.cluster)

    def context(self) -> dict[str, Any]:
        events = list(self.task.events.all())
        return {
            "row": self.row,
            "task": self.task,
            "cluster": self.cluster,
            "events": events,
            "timeline": phase_timeline_of(self.task, events),
            "story": story_of_task(self.principal, self.task),
            "reload": self.task.is_active,
            "back": reverse("task-detail", args=self.address),
        }

    @property
    def address(self) -> list[str]:
        return [self.principal.organization_name, self.task.task_id]


class TaskDetailView(TaskPage):
    template_name = "clusters/task_detail.html"


class TaskChange(FormPage, TaskPage):
    scopes = {"GET": GET_CLUSTER, "POST": GET_CLUSTER}
    template_name: ClassVar[str] = "clusters/task_confirm.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.permit()
        return super().get(request, *args, **kwargs)

    def permit(self) -> None:
        self.principal.require(job_for(self.task.kind).scope)


class TaskCancelView(TaskChange):
    action = "CancelTask"
    template_name = "clusters/task_cancel.html"

    def context(self) -> dict[str, Any]:
        return super().context() | {"effect": job_for(self.task.kind).cancel_effect(self.task)}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        self.permit()
        services.cancel_task(self.task, by=self.principal.label)
        return redirect("task-detail", *self.address)


class TaskRetryView(TaskChange):
    action = "RetryTask"
    template_name = "clusters/task_retry.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        self.permit()
        task = services.retry_task(self.cluster, self.task, by=self.principal.label)
        self.operation_id = task.task_id
        return redirect("cluster-detail", self.address[0], self.cluster.cluster_id)
