"""Admin pages of policies, their runs, and the copies of policies among beat's rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django_celery_beat.models import PeriodicTask

from backups.policies.beat_mirror import policy_id_in
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.library_admin import PeriodicTaskAdmin
from vbase_console.web.templatetags.console import words


@admin.register(BackupPolicy)
class BackupPolicyAdmin(ReadOnlyAdmin):
    list_display = [
        "policy_id",
        "name",
        "organization",
        "cluster",
        "schedule_cron",
        "timezone",
        "retention_count",
        "is_active",
        "next_run_at",
        "last_run_at",
        "last_state",
    ]
    list_prefetch_related = ["organization", "cluster", "last_run__job__task"]
    list_filter = ["is_active", "organization"]
    search_fields = ["^policy_id", "name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Policy id, policy name, cluster id, organization name"
    related_lists = {"Runs": ("policies_policyrun", "policy_id")}

    @admin.display(description="last status")
    def last_state(self, policy: BackupPolicy) -> str:
        return words(policy.last_status or "")


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
        "policy",
        "planned_at",
        "created_at",
        "state",
        "skip_reason",
        "job",
        "is_catch_up",
        "is_manual",
        "organization",
    ]
    list_prefetch_related = ["policy", "organization", "job__task"]
    list_filter = ["is_catch_up", "is_manual", "organization"]
    search_fields = ["^policy__policy_id", "^job__task__task_id"]
    search_help_text = "Policy id, job id"

    @admin.display(description="status")
    def state(self, run: PolicyRun) -> str:
        return words(run.status)


@admin.register(PolicyDay)
class PolicyDayAdmin(ReadOnlyAdmin):
    list_display = [
        "policy",
        "day",
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
