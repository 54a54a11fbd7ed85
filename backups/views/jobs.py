from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from backups import observers
from backups.models import BackupJob
from backups.services.jobs import cancel_job, retry_job
from backups.services.restores import tasks_before
from backups.states import JobKind
from backups.views.presenters import job_row, restore_result_of
from backups.views.story import story_of
from clusters.states import ENDED
from clusters.views.timeline import phase_timeline_of
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TaskState
from vbase_console.web.forms import FormPage
from vbase_console.web.views import Page

MAX_WAITS = 3


class JobPage(Page):
    scopes = {"GET": LIST_BACKUPS}
    nav = "operations"

    @cached_property
    def job(self) -> BackupJob:
        jobs = BackupJob.objects.select_related("task", "backup", "cluster")
        return jobs.get_visible(self.principal, task__task_id=self.kwargs["job_id"])

    def context(self) -> dict[str, Any]:
        events = list(self.job.task.events.all())
        return {
            "row": job_row(self.principal, self.job),
            "job": self.job,
            "task": self.job.task,
            "cluster": self.job.cluster,
            "policy": observers.policy_of(self.principal, self.job.policy_id),
            "result": restore_result_of(self.job),
            "is_target_deleted": self.job.cluster.status in ENDED,
            "is_clone": self.job.is_of_clone,
            "waits_for": self.waits_for(),
            "events": events,
            "timeline": phase_timeline_of(self.job.task, events, rows=self.job.row_count),
            "story": story_of(self.principal, self.job.backup),
            "reload": self.job.task.is_active,
            "back": reverse("job-detail", args=self.address),
        }

    def waits_for(self) -> list[Task]:
        """Tasks that come before a restore which has not started."""
        task = self.job.task
        if self.job.job_type != JobKind.RESTORE or task.state != TaskState.PENDING:
            return []
        earlier = tasks_before(self.job.cluster).visible_to(self.principal)
        return list(earlier.filter(pk__lt=task.pk)[:MAX_WAITS])

    @property
    def address(self) -> list[str]:
        return [self.principal.organization_name, self.job.task.task_id]


class JobDetailView(JobPage):
    template_name = "backups/job_detail.html"


class JobChange(FormPage, JobPage):
    scopes = {"GET": LIST_BACKUPS, "POST": LIST_BACKUPS}
    template_name: ClassVar[str] = "backups/job_cancel.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.permit()
        return super().get(request, *args, **kwargs)

    def permit(self) -> None:
        """Require the scope of the job's kind."""
        self.principal.require(job_for(self.job.job_type).scope)


class JobCancelView(JobChange):
    action = "CancelJob"

    def context(self) -> dict[str, Any]:
        effect = job_for(self.job.job_type).cancel_effect(self.job.task)
        return super().context() | {"effect": effect}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        self.permit()
        cancel_job(self.job, by=self.principal.label)
        return redirect("job-detail", *self.address)


class JobRetryView(JobChange):
    action = "RetryJob"
    template_name = "backups/job_retry.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        self.permit()
        job = retry_job(self.job, by=self.principal.label)
        self.operation_id = job.task.task_id
        return redirect("job-detail", self.principal.organization_name, self.operation_id)
