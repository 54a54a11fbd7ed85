"""History of operations: tasks of clusters and jobs of backups in one list."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from django import forms
from django.core.paginator import Page as Rows
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from backups.models import BackupJob
from backups.services.jobs import retry_job
from backups.states import BACKUP_ID_PREFIX, JOB_ID_PREFIX, JobKind
from backups.views.presenters import JobRow, job_row
from clusters import services
from clusters.models import Cluster
from clusters.states import TaskKind
from clusters.views.detail import ClusterPage
from clusters.views.presenters import KINDS, TaskRow, task_row
from vbase_console.core.errors import NotFound
from vbase_console.core.ids import CLUSTER_ID_PREFIX
from vbase_console.dashboard.operation_days import operation_bar_of
from vbase_console.organizations.scopes import GET_CLUSTER, LIST_BACKUPS, SCALE_CLUSTER
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.days import ended_on
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState
from vbase_console.web.bulk import BulkPage
from vbase_console.web.lists import ANY_CHOICE, FilterForm, ListPage, day_field
from vbase_console.web.views import ConsoleView

LATEST_END = "-finished_at"
PREFIXES = (TASK_ID_PREFIX, JOB_ID_PREFIX)


def _kinds(kinds: Any) -> list[tuple[str, str]]:
    return [(kind.value, kind.value.replace("_", " ").capitalize()) for kind in kinds]


class OperationFilter(FilterForm):
    q = forms.CharField(label="Name, id or requester", required=False, max_length=128)
    cluster = forms.CharField(required=False, max_length=64)
    kind = forms.ChoiceField(
        required=False,
        choices=[*ANY_CHOICE, ("Clusters", _kinds(TaskKind)), ("Backups", _kinds(JobKind))],
    )
    state = forms.ChoiceField(
        required=False, choices=[*ANY_CHOICE, *((s.value, s.value.capitalize()) for s in TaskState)]
    )
    day = day_field("Ended on (UTC)")

    SEARCH_LOOKUPS = (
        "task_id__icontains",
        "subject_id__icontains",
        "cluster_name__icontains",
        "backup_job__backup__name__icontains",
        "requested_by__icontains",
    )
    SORT_FIELDS = ("kind", "cluster_name", "backup_name", "state", "requested_by", "pk")
    DEFAULT_ORDER = "-pk"
    NULLS_LAST = frozenset({"backup_name"})
    INDEXED_ORDERS = frozenset({"pk", "-pk", "kind", LATEST_END})
    LONG_SEARCH = "The text finds complete ids of operations, clusters and backups."

    def filter_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        values = {name: self.given[name] for name in ("kind", "state") if name in self.given}
        rows = rows.filter(**values)
        if day := self.given.get("day"):
            rows = rows.filter(ended_on(day))
        if text := self.text("cluster"):
            rows = rows.filter(quota_key__in=Cluster.objects.matching(text).values("pk"))
        return rows

    @property
    def requested_order(self) -> str:
        """List the operations of a day by their end, as the index has them, unless a heading was
        chosen.
        """
        order = super().requested_order
        is_chosen = order != self.DEFAULT_ORDER or self.data.get("sort") == order
        return LATEST_END if "day" in self.given and not is_chosen else order

    def search_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return super().search_rows(self.named(rows) if self.text("q") else rows)

    def search_long(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Choose the index by the prefix of the id."""
        if not (text := self.text("q")):
            return rows
        columns = {TASK_ID_PREFIX: "task_id", JOB_ID_PREFIX: "task_id"}
        columns |= {CLUSTER_ID_PREFIX: "quota_key", BACKUP_ID_PREFIX: "backup_job__backup"}
        column = columns.get(text.partition("-")[0])
        return rows.filter(**{column: text}) if column else rows.none()

    def named(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Add the names of clusters and backups."""
        about = Cluster.objects.filter(pk=OuterRef("subject_id"))
        named: QuerySet[Any] = rows.annotate(
            cluster_name=Coalesce("backup_job__cluster__name", Subquery(about.values("name"))),
            backup_name=F("backup_job__backup__name"),
        )
        return named


class OneClustersOperationFilter(OperationFilter):
    cluster = None  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationRow:
    task: Task
    cluster: Cluster | None
    job: BackupJob | None
    has_backup: bool
    address: str
    may_retry: bool


def operations_of(principal: Principal) -> QuerySet[Task]:
    """Tasks and jobs that a principal may see. All have one of two prefixes, which are no condition
    unless one is left out, because SQLite sorts after a condition on several values.
    """
    tasks = Task.objects.visible_to(principal)
    return tasks if principal.may(LIST_BACKUPS) else tasks.filter(id_prefix=TASK_ID_PREFIX)


def operation_rows(principal: Principal, tasks: list[Task]) -> list[OperationRow]:
    """Return one row per task. The number of queries does not depend on the number of tasks."""
    subjects = {task.subject_id for task in tasks}
    clusters = Cluster.objects.visible_to(principal).in_bulk(list(subjects))
    organization = principal.organization_name

    def row_of(task: Task) -> OperationRow:
        row: TaskRow | JobRow
        if task.kind in KINDS:
            row = task_row(principal, task, clusters.get(task.subject_id))
            cluster, job, has_backup, page = row.cluster, None, False, "task-detail"
        else:
            row = job_row(principal, task.backup_job)
            cluster, job, has_backup, page = row.job.cluster, row.job, row.has_backup, "job-detail"
        return OperationRow(
            task=task,
            cluster=cluster,
            job=job,
            has_backup=has_backup,
            address=reverse(page, args=[organization, task.task_id]),
            may_retry=row.may_retry,
        )

    return [row_of(task) for task in tasks]


class OperationListView(ListPage):
    scopes = {"GET": GET_CLUSTER}
    template_name = "dashboard/operation_list.html"
    table_name = "dashboard/partials/operation_table.html"
    filter_class = OperationFilter
    nav = "operations"
    csv_columns = {
        "Operation": "task_id",
        "Kind": "kind",
        "Cluster": "cluster_name",
        "Backup": "backup_name",
        "State": "state",
        "Message": "message",
        "Requested by": "requested_by",
        "Created": "created_at",
        "Started": "started_at",
        "Finished": "finished_at",
    }

    def context(self) -> dict[str, Any]:
        may_see_jobs = self.principal.may(LIST_BACKUPS)
        prefixes = PREFIXES if may_see_jobs else (TASK_ID_PREFIX,)
        return super().context() | {"bar": operation_bar_of(self.principal, prefixes)}

    def rows(self) -> QuerySet[Any]:
        related = ("backup_job__cluster", "backup_job__backup")
        return operations_of(self.principal).select_related(*related)

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        listed = operation_rows(self.principal, list(rows))
        return {
            "operations": listed,
            "reload": any(row.task.is_active for row in listed),
            "may_select": any(row.may_retry for row in listed),
        }


class ClusterOperationListView(OperationListView, ClusterPage):
    filter_class = OneClustersOperationFilter
    nav = "clusters"

    def context(self) -> dict[str, Any]:
        return ClusterPage.context(self)

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(quota_key=self.cluster.pk)


class OperationBulkRetryView(BulkPage):
    """Retry needs the scope of each operation, which is checked for each. All roles that may retry
    any operation have the page's scope.
    """

    scopes = {"GET": SCALE_CLUSTER, "POST": SCALE_CLUSTER}
    action = "RetryTask"
    nav = "operations"
    title = "Retry"
    noun = "operation"
    says = (
        "Each operation is requested again with the same options, by the rules of a new request. "
        "The failed ones stay in the history."
    )
    list_page = next_page = "operation-list"

    def rows(self, ids: list[str]) -> list[Any]:
        operations: QuerySet[Any] = operations_of(self.principal).filter(task_id__in=ids)
        related = ("backup_job__cluster", "backup_job__backup")
        return list(operations.select_related(*related).order_by("lock", "pk"))

    def name_of(self, row: Any) -> str:
        return str(row.task_id)

    def key_of(self, row: Any) -> str:
        return str(row.task_id)

    def act(self, row: Any) -> str:
        self.principal.require(job_for(row.kind).scope)
        by = self.principal.label
        if row.kind not in KINDS:
            return str(retry_job(row.backup_job, by=by).task.task_id)
        cluster = Cluster.objects.visible_to(self.principal).filter(pk=row.subject_id).first()
        if cluster is None:
            raise NotFound(f"The cluster of {row.task_id} was not found.")
        return services.retry_task(cluster, row, by=by).task_id


class MovedListView(ConsoleView):
    """Former list of tasks or jobs. Its filter is kept."""

    scopes = {"GET": GET_CLUSTER}
    list_page: ClassVar[str] = "operation-list"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        keys = [str(value) for name, value in self.kwargs.items() if name != "organization"]
        address = reverse(self.list_page, args=[self.principal.organization_name, *keys])
        query = request.GET.urlencode()
        return redirect(f"{address}?{query}" if query else address)


class ClusterMovedListView(MovedListView, ClusterPage):
    list_page = "cluster-operation-list"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.cluster  # noqa: B018 - a cluster of another organization is not found
        return super().get(request, *args, **kwargs)
