"""Backups and their jobs as support staff see them; retry, cancel and history are the task's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django_celery_beat.models import PeriodicTask

from backups import services
from backups.models import (
    Backup,
    BackupJob,
    BackupPolicy,
    ClusterLook,
    KnownCollection,
    PolicyRun,
    SealedPart,
)
from backups.policies.schedules import policy_id_in
from backups.states import is_damaged
from vbase_console.admin import PeriodicTaskAdmin
from vbase_console.errors import ConsoleError
from vbase_console.organizations.models import Outcome
from vbase_console.readonly_admin import ReadOnlyAdmin
from vbase_console.support import record_support, support_label
from vbase_console.templatetags.console import words


class DamageFilter(admin.SimpleListFilter):
    title = "damage"
    parameter_name = "damaged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Damaged"), ("no", "Not damaged")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Backup]) -> QuerySet[Backup]:
        if self.value() == "yes":
            return queryset.filter(is_damaged())
        return queryset.exclude(is_damaged()) if self.value() == "no" else queryset


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = [
        "backup_id",
        "name",
        "organization",
        "cluster",
        "db_name",
        "status",
        "is_damaged",
        "row_count",
        "size_bytes",
        "pinned",
        "verified_at",
        "proven_at",
        "created_at",
    ]
    list_select_related = ["organization", "cluster"]
    list_filter = ["status", DamageFilter, "pinned", "created_at", "organization"]
    search_fields = ["^backup_id", "name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Backup id or name, cluster id, organization name"
    readonly_fields = ["is_damaged", "what_happened"]
    actions = ["verify"]

    @admin.display(description="damaged", boolean=True, ordering="damaged_by")
    def is_damaged(self, backup: Backup) -> bool:
        return backup.is_damaged

    @admin.display(description="jobs")
    def what_happened(self, backup: Backup) -> str:
        address, query = reverse("admin:backups_backupjob_changelist"), f"q={backup.backup_id}"
        return format_html('<a href="{}?{}">What happened to this backup</a>', address, query)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("backups.change_backup")

    @admin.action(description="Verify", permissions=["act"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Backup]) -> None:
        for backup in queryset.order_by("pk"):
            try:
                job = _verify_and_record(request, backup)
            except ConsoleError as error:
                _record(request, backup, Outcome.REFUSED, f"{error.code}: {error.message}")
                self.message_user(request, error.message, messages.ERROR)
            else:
                self.message_user(request, f"{job.task.task_id} verifies {backup.name}.")


@transaction.atomic
def _verify_and_record(request: HttpRequest, backup: Backup) -> BackupJob:
    """What was done and the row that says who did it become true together."""
    job = services.verify_backup(backup, by=support_label(request))
    _record(request, backup, Outcome.ACCEPTED, job.task.task_id)
    return job


def _record(request: HttpRequest, backup: Backup, outcome: Outcome, detail: str) -> None:
    record_support(
        request,
        backup.organization_id,
        action="VerifyBackup",
        object_id=backup.name,
        outcome=outcome,
        detail=detail,
    )


@admin.register(BackupJob)
class BackupJobAdmin(ReadOnlyAdmin):
    list_display = [
        "task",
        "job_type",
        "state",
        "message",
        "backup",
        "cluster",
        "organization",
        "row_count",
        "why_and_how",
    ]
    list_select_related = ["task", "backup", "cluster", "organization"]
    list_filter = ["job_type", "task__state", "organization"]
    search_fields = ["^task__task_id", "^backup__backup_id", "backup__name"]
    search_help_text = "Job id, backup id or name"
    readonly_fields = ["why_and_how"]

    @admin.display(ordering="task__state")
    def state(self, job: BackupJob) -> str:
        return job.task.get_state_display()

    def message(self, job: BackupJob) -> str:
        return job.task.message

    @admin.display(description="events, retry, cancel")
    def why_and_how(self, job: BackupJob) -> str:
        address = reverse("admin:tasks_task_change", args=[job.task.pk])
        return format_html('<a href="{}">The task of this job</a>', address)


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
        "last_state",
    ]
    list_select_related = ["organization", "cluster", "last_run__job__task"]
    list_filter = ["is_active", "organization"]
    search_fields = ["^policy_id", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Policy id, cluster id, organization name"

    @admin.display(description="last status")
    def last_state(self, policy: BackupPolicy) -> str:
        return words(policy.last_status or "")


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
        "state",
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

    @admin.display(description="status")
    def state(self, run: PolicyRun) -> str:
        return words(run.status)


@admin.register(KnownCollection)
class KnownCollectionAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "db_name",
        "cluster",
        "organization",
        "policy",
        "stale_from",
        "newest_backup",
        "proven_backup",
        "seen_at",
    ]
    list_select_related = ["cluster", "organization", "policy", "newest_backup", "proven_backup"]
    list_filter = ["organization"]
    search_fields = ["name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Collection, cluster id, organization name"


@admin.register(ClusterLook)
class ClusterLookAdmin(ReadOnlyAdmin):
    list_display = ["cluster", "organization", "seen_at", "next_at", "failures", "problem"]
    list_select_related = ["cluster", "organization"]
    list_filter = ["organization"]
    search_fields = ["^cluster__cluster_id", "cluster__name", "organization__name"]
    search_help_text = "Cluster id or name, organization name"
