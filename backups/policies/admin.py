"""Admin pages of policies, their runs, and the copies of policies among beat's rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django_celery_beat.models import PeriodicTask

from backups.policies.beat_mirror import policy_id_in
from backups.policies.cron import in_words
from backups.policies.health import PolicyHealth, with_health
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.policies.outcomes import why_of
from backups.policies.templatetags.policies import health_badge
from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.core.labels import value_in_words
from vbase_console.core.quantities import NONE, relative_time
from vbase_console.library_admin import PeriodicTaskAdmin
from vbase_console.web.templatetags.console import plain, task_badge


def reaction_in_words(on_missing: str) -> str:
    return capfirst(str(value_in_words("on_missing", on_missing)))


class HealthFilter(admin.SimpleListFilter):
    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(health.value, health.label) for health in PolicyHealth]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(health=self.value()) if self.value() else queryset


@admin.register(BackupPolicy)
class BackupPolicyAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "state",
        "organization",
        "cluster",
        "schedule_cron",
        "timezone",
        "retention_count",
        "next_run_at",
        "last_run_at",
        "policy_id",
    ]
    nouns = ("policy", "policies")
    renderers = {"schedule_cron": in_words, "on_missing": reaction_in_words}
    readonly_fields = ["state", "last_reason"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "policy_id",
                    "state",
                    "last_run",
                    "last_reason",
                    "next_run_at",
                    "organization",
                    "cluster",
                    "description",
                ]
            },
        ),
        (
            "Schedule and retention",
            {"fields": ["schedule_cron", "timezone", "is_active", "retention_count"]},
        ),
        (
            "Contents",
            {"fields": ["db_name", "collection_names", "on_missing", "include_access_control"]},
        ),
        (
            "Result",
            {
                "fields": [
                    "complete_backup_count",
                    "newest_complete_backup_at",
                    "created_at",
                    "updated_at",
                ]
            },
        ),
    ]
    list_prefetch_related = ["organization", "cluster", "last_run__job__task"]
    list_filter = [HealthFilter, "is_active", "organization"]
    search_fields = ["^policy_id", "name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Policy id, policy name, cluster id, organization name"
    related_lists = {
        "Runs": ("policies_policyrun", "policy_id"),
        "Activity": ("organizations_auditentry", "policy_id"),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_health(super().get_queryset(request))

    @admin.display(description="health", ordering="severity")
    def state(self, policy: BackupPolicy) -> str:
        return health_badge(policy.health)  # type: ignore[attr-defined]

    @admin.display(description="last run")
    def last_run_at(self, policy: BackupPolicy) -> str:
        return relative_time(policy.last_run_at)

    @admin.display(description="reason")
    def last_reason(self, policy: BackupPolicy) -> str:
        return plain(why_of(policy.last_run)) if policy.last_run else NONE


admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ScheduleAdmin(PeriodicTaskAdmin):
    list_display = [*PeriodicTaskAdmin.list_display, "policy"]

    def get_fields(self, request: HttpRequest, entry: PeriodicTask | None = None) -> list[Any]:
        return [*super().get_fields(request, entry), "policy"]

    def get_readonly_fields(self, request: HttpRequest, entry: PeriodicTask | None = None) -> Any:
        return [*super().get_readonly_fields(request, entry), "policy"]

    @admin.display(description="policy")
    def policy(self, entry: PeriodicTask) -> str:
        policy_id = policy_id_in(entry.name)
        if not policy_id:
            return ""
        page = reverse("admin:policies_backuppolicy_change", args=[policy_id])
        return format_html('<a href="{}">{}</a>', page, policy_id)


@admin.register(PolicyRun)
class PolicyRunAdmin(ReadOnlyAdmin):
    list_display = [
        "planned_at",
        "policy",
        "state",
        "reason",
        "job",
        "created_at",
        "is_catch_up",
        "is_manual",
        "organization",
    ]
    nouns = ("run", "runs of policies")
    readonly_fields = ["state", "reason"]
    fields = [
        "policy",
        "organization",
        "planned_at",
        "state",
        "reason",
        "job",
        "is_catch_up",
        "is_manual",
        "created_at",
        "retention_applied_at",
        "retention_requested_at",
    ]
    list_prefetch_related = ["policy", "organization", "job__task"]
    list_filter = ["is_catch_up", "is_manual", "organization"]
    search_fields = ["^policy__policy_id", "^job__task__task_id"]
    search_help_text = "Policy id, job id"

    @admin.display(description="status")
    def state(self, run: PolicyRun) -> str:
        return task_badge(run.status)

    @admin.display(description="reason")
    def reason(self, run: PolicyRun) -> str:
        return plain(why_of(run))


@admin.register(PolicyDay)
class PolicyDayAdmin(ReadOnlyAdmin):
    nouns = ("day of a policy", "days of policies")
    list_display = [
        "day",
        "policy",
        "outcome",
        "good",
        "late",
        "failed",
        "skipped",
        "has_gap",
        "organization",
    ]
    list_prefetch_related = ["organization", "policy"]
    list_filter = ["organization"]
    search_fields = ["^policy__policy_id", "organization__name"]
    search_help_text = "Policy id, organization name"
