"""Backups and their jobs as support staff see them; retry, cancel and history are the task's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django_celery_beat.models import PeriodicTask

from backups.models import Backup, BackupJob, BackupPolicy, PolicyRun, SealedPart
from backups.policies.schedules import policy_id_in
from vbase_console.admin import PeriodicTaskAdmin
from vbase_console.readonly_admin import ReadOnlyAdmin


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = [
        "backup_id",
        "name",
        "organization",
        "cluster",
        "db_name",
        "status",
        "row_count",
        "size_bytes",
        "pinned",
        "verified_at",
        "proven_at",
        "created_at",
    ]
    list_select_related = ["organization", "cluster"]
    list_filter = ["status", "pinned", "created_at", "organization"]
    search_fields = ["^backup_id", "name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Backup id or name, cluster id, organization name"


@admin.register(BackupJob)
class BackupJobAdmin(ReadOnlyAdmin):
    list_display = ["task", "job_type", "backup", "cluster", "organization", "row_count"]
    list_select_related = ["task", "backup", "cluster", "organization"]
    list_filter = ["job_type", "organization"]
    search_fields = ["^task__task_id", "^backup__backup_id", "backup__name"]
    search_help_text = "Job id, backup id or name"


@admin.register(SealedPart)
class SealedPartAdmin(ReadOnlyAdmin):
    list_display = ["backup", "number", "collection"]
    list_select_related = ["backup"]
    search_fields = ["^backup__backup_id"]
    search_help_text = "Backup id"


@admin.register(BackupPolicy)
class BackupPolicyAdmin(ReadOnlyAdmin):
    list_display = [
        "policy_id",
        "organization",
        "cluster",
        "schedule_cron",
        "timezone",
        "retention_count",
        "is_active",
        "next_run_at",
        "last_run_at",
        "last_status",
    ]
    list_select_related = ["organization", "cluster", "last_run__job__task"]
    list_filter = ["is_active", "organization"]
    search_fields = ["^policy_id", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Policy id, cluster id, organization name"


admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ScheduleAdmin(PeriodicTaskAdmin):
    """Beat's rows; those of policies are copies for people to read, and lead to their policy."""

    list_display = [*PeriodicTaskAdmin.list_display, "policy"]

    def get_fields(self, request: HttpRequest, entry: PeriodicTask | None = None) -> list[Any]:
        return [*super().get_fields(request, entry), "policy"]

    def get_readonly_fields(
        self, request: HttpRequest, entry: PeriodicTask | None = None
    ) -> list[str] | tuple[Any, ...]:
        return [*super().get_readonly_fields(request, entry), "policy"]

    @admin.display(description="policy")
    def policy(self, entry: PeriodicTask) -> str:
        policy_id = policy_id_in(entry.name)
        if not policy_id:
            return ""
        page = reverse("admin:backups_backuppolicy_change", args=[policy_id])
        return format_html('<a href="{}">{}</a>', page, policy_id)


@admin.register(PolicyRun)
class PolicyRunAdmin(ReadOnlyAdmin):
    list_display = [
        "policy",
        "planned_at",
        "created_at",
        "status",
        "skip_reason",
        "job",
        "is_catch_up",
        "is_manual",
        "organization",
    ]
    list_select_related = ["policy", "organization", "job__task"]
    list_filter = ["is_catch_up", "is_manual", "organization"]
    search_fields = ["^policy__policy_id", "^job__task__task_id"]
    search_help_text = "Policy id, job id"
