"""An organization at a glance: clusters by status, what runs, what failed, what is protected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from backups.protection.presenters import at_a_glance
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
    """The page, and for htmx the part of it that changes."""

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
        return {
            "statuses": self.statuses(),
            "active": rows[: len(active)],
            "active_jobs": jobs,
            "failed": _latest(rows[len(active) :], failed_jobs),
            "lists_of_failed": _lists_of(tasks=failed, jobs=failed_jobs),
            "reload": bool(active or jobs),
            **self.protection(),
        }

    def statuses(self) -> list[tuple[str, int]]:
        """How many clusters there are of each status, those that nobody must look at last."""
        living = Cluster.objects.alive().visible_to(self.principal).order_by()
        counted = dict(living.values_list("status").annotate(Count("pk")))
        return [(status, counted[status]) for status in ServiceStatus.values if status in counted]

    def active(self) -> list[Task]:
        running = Task.objects.active().filter(kind__in=KINDS).in_queue_order()
        return list(running.visible_to(self.principal)[:MAX_ROWS])

    def failed(self) -> list[Task]:
        failed = Task.objects.filter(kind__in=KINDS, state=TaskState.FAILED)
        left = failed.filter(~was_retried("task_id"))
        return list(left.visible_to(self.principal)[:MAX_ROWS])

    def failed_jobs(self) -> list[JobRow]:
        """A run that found nothing to back up was skipped: its policy says so."""
        failed = jobs_of(self.principal).filter(task__state=TaskState.FAILED)
        left = failed.filter(~was_retried("task__task_id"))
        not_skipped = Q(policy_run=None) | Q(policy_run__skip_reason="")
        return job_rows(self.principal, left.filter(not_skipped)[:MAX_ROWS])

    def protection(self) -> dict[str, Any]:
        if not is_registered():
            return {}
        shown = covers(self.principal, MAX_CLUSTERS + 1)
        return at_a_glance(self.principal) | {
            "guarded": True,
            "covers": shown[:MAX_CLUSTERS],
            "more_covers": len(shown) > MAX_CLUSTERS,
        }


def _lists_of(*, tasks: Sequence[Task], jobs: Sequence[JobRow]) -> list[tuple[str, str]]:
    """Where all of them are listed: tasks and jobs have a list each."""
    lists = [("task-list", "All failed tasks", tasks), ("job-list", "All failed jobs", jobs)]
    return [(address, title) for address, title, failed in lists if failed]


def _latest(tasks: Sequence[TaskRow], jobs: Sequence[JobRow]) -> list[TaskRow | JobRow]:
    """What failed last, whatever it was about."""
    both: list[TaskRow | JobRow] = [*tasks, *jobs]
    return sorted(both, key=_ended, reverse=True)[:MAX_ROWS]


def _ended(row: TaskRow | JobRow) -> datetime:
    return row.task.finished_at or timezone.now()
