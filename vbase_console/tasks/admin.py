from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from vbase_console.core.admin import ReadOnlyAdmin, ReadOnlyInline
from vbase_console.core.admin_columns import address_of, link_to_id, link_to_requester
from vbase_console.core.errors import ConsoleError
from vbase_console.core.ids import CLUSTER_ID_PREFIX
from vbase_console.core.labels import words_of_action
from vbase_console.organizations.models import Organization, Outcome
from vbase_console.organizations.support import record_support, support_label
from vbase_console.tasks import registry, services
from vbase_console.tasks.models import Heartbeat, Task, TaskDay, TaskEvent
from vbase_console.tasks.states import TaskState
from vbase_console.web.templatetags.console import plain, task_badge, words
from vbase_console.web.wording import constant_in_words, without_constants

Service = Callable[..., Task]
MAX_LINKS = 5
MAX_CONFIRMED = 20
"""Tasks whose losses the confirmation of a cancellation names."""
PAGES = {"vc": "admin:clusters_cluster_change", "bak": "admin:backups_backup_change"}
"""Prefix of a subject's id → name of its admin page, because the engine imports neither app."""


def percent(progress: int) -> str:
    return f"{progress}%"


class KindFilter(admin.SimpleListFilter):
    """Filter by registered kinds. A query for the kinds would read the whole table."""

    title = "kind"
    parameter_name = "kind"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Task]
    ) -> list[tuple[str, str]]:
        return [(kind, words(kind)) for kind in registry.kinds()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> QuerySet[Task]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class TaskEventInline(ReadOnlyInline):
    model = TaskEvent
    fields = ["at", "epoch", "state", "progress", "phase", "message"]
    renderers = {"state": task_badge, "message": plain, "phase": capfirst}


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = [
        "task_id",
        "kind",
        "state",
        "message",
        "subject",
        "organization",
        "requested_by",
        "created_at",
        "finished_at",
    ]
    renderers = {
        "state": task_badge,
        "kind": words,
        "message": plain,
        "phase": capfirst,
        "retry_of": link_to_id,
        "requested_by": link_to_requester,
        "progress": percent,
    }
    list_filter = ["state", KindFilter, "created_at", "organization"]
    list_prefetch_related = ["organization"]
    search_fields = ["task_id"]
    search_help_text = "Complete id of a task, job, cluster or organization, organization name"
    readonly_fields = ["subject"]
    inlines = [TaskEventInline]
    actions = ["retry", "cancel"]
    fieldsets = [
        (
            None,
            {"fields": ["task_id", "kind", "state", "progress", "phase", "message", "warnings"]},
        ),
        ("About", {"fields": ["organization", "subject", "requested_by", "retry_of"]}),
        (
            "When",
            {"fields": ["created_at", "started_at", "updated_at", "finished_at", "not_before"]},
        ),
        (
            "Engine",
            {
                "fields": [
                    "epoch",
                    "worker",
                    "lease_until",
                    "lock",
                    "holds_lock",
                    "priority",
                    "woken_at",
                    "cancel_requested_at",
                    "arguments",
                    "checkpoint",
                ]
            },
        ),
    ]

    @admin.display(description="cluster or backup", ordering="subject_id")
    def subject(self, task: Task) -> str:
        page = PAGES.get(task.subject_id.partition("-")[0])
        if page is None:
            return task.subject_id
        address = reverse(page, args=[task.subject_id])
        return format_html('<a href="{}">{}</a>', address, task.subject_id)

    def neighbours_of(self, task: Task) -> list[tuple[str, str]]:
        """Add the cluster's page and story, the job, the earlier task and its retries."""
        links = super().neighbours_of(task)
        if task.quota_key:
            links += [
                ("Cluster", reverse("admin:clusters_cluster_change", args=[task.quota_key])),
                ("Story of the cluster", reverse("admin-cluster-story", args=[task.quota_key])),
            ]
        if task.id_prefix == "job":
            links.append(("Job", reverse("admin:backups_backupjob_change", args=[task.pk])))
        others = Task.objects.filter(Q(retry_of=task.task_id) | Q(task_id=task.retry_of or "-"))
        for other in others.order_by("pk")[:MAX_LINKS]:
            label = "Retry" if other.retry_of == task.task_id else "Earlier attempt"
            links.append((f"{label} {other.task_id}", address_of(other)))
        return links

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Task], search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        """Search by one index, which the text chooses, because the table grows with the history."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if text.startswith(f"{CLUSTER_ID_PREFIX}-"):
            return queryset.filter(quota_key=text), False
        if by_id := queryset.filter(task_id=text):
            return by_id, False
        with_name = Organization.objects.filter(name=text)
        organizations = with_name or Organization.objects.filter(pk__in=_uuids_in(text))
        return queryset.filter(
            organization__in=[organization.pk for organization in organizations]
        ), False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks.change_task")

    def is_offered(self, action: str, task: Task) -> bool:
        return (
            task.is_active
            if action == "cancel"
            else task.state in (TaskState.FAILED, TaskState.CANCELLED)
        )

    @admin.action(description="Retry", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        self._call_for_each(request, queryset, "RetryTask", services.retry)

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> HttpResponse | None:
        if "ask" in request.POST:
            return self._confirm_cancel(request, queryset)
        self._call_for_each(request, queryset, "CancelTask", services.request_cancel)
        return None

    def _confirm_cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> HttpResponse:
        """Name what each cancellation loses and keeps. The page sends the action again."""
        count = queryset.count()
        tasks = list(queryset.select_related("organization").order_by("pk")[:MAX_CONFIRMED])
        jobs = {task: registry.job_for(task.kind) for task in tasks}
        effects = [
            (task, job.cancel_effect(task) if task.is_active and job.cancellable else None)
            for task, job in jobs.items()
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Cancel {count} task{'' if count == 1 else 's'}?",
            "effects": effects,
            "more": count - len(tasks),
            "given": [
                (name, value)
                for name in ("_selected_action", "select_across", "back")
                for value in request.POST.getlist(name)
            ],
        }
        return TemplateResponse(request, "admin/support/cancel.html", context)

    def _call_for_each(
        self, request: HttpRequest, queryset: QuerySet[Task], action: str, service: Service
    ) -> None:
        for task in queryset.order_by("pk"):
            try:
                with transaction.atomic():
                    changed = service(task, by=support_label(request))
                    _record(request, task, action, Outcome.ACCEPTED, changed.task_id)
            except ConsoleError as error:
                _record(request, task, action, Outcome.REFUSED, f"{error.code}: {error.message}")
                self.message_user(request, without_constants(error.message), messages.ERROR)
            else:
                state = constant_in_words(changed.state)
                text = f"{words_of_action(action)}: {changed.task_id} is {state}."
                self.message_user(request, text)


def _uuids_in(text: str) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(text)]
    except ValueError:
        return []


def _record(request: HttpRequest, task: Task, action: str, outcome: Outcome, detail: str) -> None:
    record_support(
        request,
        task.organization_id,
        action=action,
        object_id=task.task_id,
        outcome=outcome,
        detail=detail,
    )


@admin.register(TaskDay)
class TaskDayAdmin(ReadOnlyAdmin):
    nouns = ("day of tasks", "days of tasks")
    list_display = ["day", "organization", "id_prefix", "succeeded", "failed", "cancelled"]
    list_prefetch_related = ["organization"]
    list_filter = ["id_prefix", "organization"]
    search_fields = ["organization__name"]
    search_help_text = "Organization name"


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    nouns = ("part of the console", "parts of the console")
    list_display = ["part", "at", "is_working"]
