from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from backups.models import BackupJob
from backups.protection.presenters import protection_summary
from backups.states import JOB_ID_PREFIX
from backups.views.presenters import JobRow, covers, failed_jobs, job_rows
from clusters.models import Cluster
from clusters.protection import is_registered
from clusters.states import ServiceStatus
from clusters.upgrade_plans import is_version_offered
from clusters.views.presenters import TaskRow, task_rows
from vbase_console.dashboard import pictures
from vbase_console.organizations.scopes import LIST_SERVICES
from vbase_console.tasks.models import Task, was_retried
from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState
from vbase_console.web.views import ConsoleView, Page, wants_fragment

MAX_ROWS = 10
MAX_CLUSTERS = 5
MAX_UNFINISHED = 200
RECENT_DAYS = 7
"""Time for which the overview shows a failure that was not retried. Some cannot be retried, such as
that of a cluster which is deleted. All failures are in the list of operations.
"""


class OverviewRedirectView(ConsoleView):
    """Address of the overview without its final slash, typed by hand."""

    scopes = {"GET": LIST_SERVICES}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return redirect("overview", self.principal.organization_name)


class OverviewView(Page):
    scopes = {"GET": LIST_SERVICES}
    template_name = "dashboard/overview.html"
    nav = "overview"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if wants_fragment(self.request):
            return self.fragment("dashboard/partials/overview_live.html", **self.context())
        return self.page()

    def context(self) -> dict[str, Any]:
        active, active_jobs = self.unfinished()
        failed, now = self.failed(), timezone.now()
        jobs_that_failed = job_rows(self.principal, failed_jobs(self.principal, MAX_ROWS))
        recovered = pictures.recoveries_of(self.principal, now)
        rows = task_rows(self.principal, [*active, *recovered, *failed])
        recoveries = rows[len(active) : len(active) + len(recovered)]
        jobs = job_rows(self.principal, active_jobs)
        unresolved: list[TaskRow | JobRow] = [
            *rows[len(active) + len(recovered) :],
            *jobs_that_failed,
        ]
        since = now - timedelta(days=RECENT_DAYS)
        failures = [row for row in unresolved if (row.task.finished_at or now) > since]
        failures.sort(key=lambda row: row.task.finished_at or now, reverse=True)
        failure_lists = [
            *([("operation-list", "All failed operations")] if failures else []),
        ]
        return {
            **self.clusters(),
            "active": rows[: len(active)],
            "active_jobs": jobs,
            "failed": failures[:MAX_ROWS],
            "recent_days": RECENT_DAYS,
            "lists_of_failed": failure_lists,
            "reload": bool(active or jobs),
            "recoveries": recoveries,
            **self.protection(now),
        }

    def clusters(self) -> dict[str, Any]:
        """Return the number of clusters per status, in the order of `ServiceStatus`, and of those
        with a version that the console ships no longer.
        """
        clusters = Cluster.objects.alive().visible_to(self.principal).order_by()
        groups = clusters.values_list("status", "driver", "version").annotate(Count("pk"))
        by_status: Counter[str] = Counter()
        unshipped: Counter[str] = Counter()
        for status, driver, version, count in groups:
            by_status[status] += count
            if not is_version_offered(driver, version):
                unshipped[version] += count
        statuses = [name for name in ServiceStatus.values if name in by_status]
        return {
            "statuses": [(status, by_status[status]) for status in statuses],
            "unshipped": sorted(unshipped.items()),
            "unshipped_count": unshipped.total(),
        }

    def unfinished(self) -> tuple[list[Task], list[BackupJob]]:
        """Return the first unfinished tasks of clusters, and the first jobs, in one query.

        Tasks come first. An index contains only unfinished ones.
        """
        active = Task.objects.active().visible_to(self.principal)
        active = active.filter(id_prefix__in=(TASK_ID_PREFIX, JOB_ID_PREFIX))
        related = active.select_related("backup_job__backup", "backup_job__cluster")
        ordered = related.order_by("-id_prefix", "-holds_lock", "-priority", "pk")
        listed = list(ordered[:MAX_UNFINISHED])
        tasks = [task for task in listed if task.id_prefix == TASK_ID_PREFIX]
        jobs = [task.backup_job for task in listed if task.id_prefix == JOB_ID_PREFIX]
        return tasks[:MAX_ROWS], jobs[:MAX_ROWS]

    def failed(self) -> list[Task]:
        failed = Task.objects.filter(id_prefix=TASK_ID_PREFIX, state=TaskState.FAILED)
        unresolved = failed.filter(~was_retried("task_id"))
        return list(unresolved.visible_to(self.principal)[:MAX_ROWS])

    def protection(self, now: datetime) -> dict[str, Any]:
        if not is_registered():
            return {}
        coverages = covers(self.principal, MAX_CLUSTERS + 1)
        summary = protection_summary(self.principal)
        organization, failing = self.principal.organization_name, summary["failing"]
        return {
            **summary,
            **pictures.storage_of(self.principal, now),
            "answer": pictures.answer_of(organization, summary["figures"], failing),
            "calendar": pictures.calendar_of(
                self.principal,
                [*(unhealthy.policy for unhealthy in failing), *summary["planned"]],
                now,
            ),
            "guarded": True,
            "covers": coverages[:MAX_CLUSTERS],
            "more_covers": len(coverages) > MAX_CLUSTERS,
        }
