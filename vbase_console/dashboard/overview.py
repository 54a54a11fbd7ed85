"""Overview of an organization: clusters by status, tasks, failures and protection."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from backups.protection.presenters import protection_summary
from backups.views.presenters import JobRow, covers, job_rows, jobs_of
from clusters.models import Cluster
from clusters.protection import is_registered
from clusters.states import ServiceStatus
from clusters.views.presenters import KINDS, TaskRow, task_rows
from vbase_console.organizations.scopes import LIST_SERVICES
from vbase_console.tasks.models import Task, was_retried
from vbase_console.tasks.states import ACTIVE, TaskState
from vbase_console.web.views import Page, wants_fragment

MAX_ROWS = 10
MAX_CLUSTERS = 5


class OverviewView(Page):
    scopes = {"GET": LIST_SERVICES}
    template_name = "dashboard/overview.html"
    nav = "overview"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if wants_fragment(self.request):
            return self.fragment("dashboard/partials/overview_live.html", **self.context())
        return self.page()

    def context(self) -> dict[str, Any]:
        active, failed, failed_jobs = self.active(), self.failed(), self.failed_jobs()
        rows = task_rows(self.principal, [*active, *failed])
        jobs = job_rows(
            self.principal, jobs_of(self.principal).filter(task__state__in=ACTIVE)[:MAX_ROWS]
        )
        now = timezone.now()
        failures: list[TaskRow | JobRow] = [*rows[len(active) :], *failed_jobs]
        failures.sort(key=lambda row: row.task.finished_at or now, reverse=True)
        failure_lists = [
            *([("task-list", "All failed tasks")] if failed else []),
            *([("job-list", "All failed jobs")] if failed_jobs else []),
        ]
        return {
            "statuses": self.statuses(),
            "active": rows[: len(active)],
            "active_jobs": jobs,
            "failed": failures[:MAX_ROWS],
            "lists_of_failed": failure_lists,
            "reload": bool(active or jobs),
            **self.protection(),
        }

    def statuses(self) -> list[tuple[str, int]]:
        """Return the number of clusters per status, in the order of `ServiceStatus`."""
        clusters = Cluster.objects.alive().visible_to(self.principal).order_by()
        counted = dict(clusters.values_list("status").annotate(Count("pk")))
        return [(status, counted[status]) for status in ServiceStatus.values if status in counted]

    def active(self) -> list[Task]:
        running = Task.objects.active().filter(kind__in=KINDS).in_queue_order()
        return list(running.visible_to(self.principal)[:MAX_ROWS])

    def failed(self) -> list[Task]:
        failed = Task.objects.filter(kind__in=KINDS, state=TaskState.FAILED)
        unresolved = failed.filter(~was_retried("task_id"))
        return list(unresolved.visible_to(self.principal)[:MAX_ROWS])

    def failed_jobs(self) -> list[JobRow]:
        """Return unresolved failed jobs. Skipped policy runs are on the policy page."""
        failed = jobs_of(self.principal).filter(task__state=TaskState.FAILED)
        unresolved = failed.filter(~was_retried("task__task_id"))
        not_skipped = Q(policy_run=None) | Q(policy_run__skip_reason="")
        return job_rows(self.principal, unresolved.filter(not_skipped)[:MAX_ROWS])

    def protection(self) -> dict[str, Any]:
        if not is_registered():
            return {}
        coverages = covers(self.principal, MAX_CLUSTERS + 1)
        return protection_summary(self.principal) | {
            "guarded": True,
            "covers": coverages[:MAX_CLUSTERS],
            "more_covers": len(coverages) > MAX_CLUSTERS,
        }
