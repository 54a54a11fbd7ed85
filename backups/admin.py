"""Admin pages of backups, jobs and sealed parts. Retry, cancel and events are those of the task."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from backups.models import (
    FOUND_BY_READING,
    Backup,
    BackupDownload,
    BackupJob,
    JobCount,
    SealedPart,
    StorageDay,
    StoreScan,
)
from backups.services.backups import verify_backup
from backups.states import JOB_ID_PREFIX, BackupStatus, is_damaged
from vbase_console.core import quantities
from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.core.admin_columns import count_of, link_to_id
from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.models import Organization, Outcome
from vbase_console.organizations.support import record_support, support_label
from vbase_console.web.templatetags.console import badge, plain, task_badge, words
from vbase_console.web.wording import without_constants


class DamageFilter(admin.SimpleListFilter):
    title = "damage"
    parameter_name = "damaged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Damaged"), ("no", "Not damaged")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Backup]) -> QuerySet[Backup]:
        if self.value() == "yes":
            return queryset.filter(is_damaged())
        return queryset.exclude(is_damaged()) if self.value() == "no" else queryset


def link_to_finder(found_by: str) -> object:
    return "a restore or download" if found_by == FOUND_BY_READING else link_to_id(found_by)


def collections_in_words(collections: list[dict[str, Any]]) -> object:
    if not collections:
        return quantities.NONE
    rows = (
        (
            collection["name"],
            count_of(collection["rowCount"]),
            quantities.size(collection["sizeBytes"]),
        )
        for collection in collections
    )
    return format_html_join("", "<div>{}: {} rows, {}</div>", rows)


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "state",
        "organization",
        "cluster",
        "db_name",
        "row_count",
        "size_bytes",
        "verified_at",
        "proven_at",
        "created_at",
        "backup_id",
    ]
    renderers = {
        "status": badge,
        "policy_id": link_to_id,
        "damage_found_by": link_to_finder,
        "collections": collections_in_words,
    }
    list_prefetch_related = ["organization", "cluster"]
    list_filter = ["status", DamageFilter, "pinned", "created_at", "organization"]
    search_fields = ["backup_id__exact", "name__exact", "cluster__exact"]
    search_help_text = "Complete id or name of a backup, cluster id, organization name"
    related_lists = {"Jobs": ("backups_backupjob", "backup_id")}
    readonly_fields = ["state"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "backup_id",
                    "state",
                    "organization",
                    "cluster",
                    "db_name",
                    "collections",
                    "row_count",
                    "size_bytes",
                    "created_at",
                    "deleted_at",
                ]
            },
        ),
        (
            "Checks",
            {
                "fields": [
                    "verified_at",
                    "proven_at",
                    "omissions",
                    "warnings",
                    "damage",
                    "damage_found_by",
                ]
            },
        ),
        ("Retention", {"fields": ["policy_id", "pinned", "retention_hold"]}),
        (
            "Archive",
            {
                "fields": [
                    "milvus_version",
                    "requested_collections",
                    "has_access_control",
                    "manifest_sha256",
                    "origin_backup_id",
                    "origin_organization_id",
                ]
            },
        ),
    ]
    actions = ["verify"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Backup], search_term: str
    ) -> tuple[QuerySet[Backup], bool]:
        """Look in one table: an organization by its name first, then the columns of backups."""
        if search_term and (owners := Organization.objects.filter(name=search_term)):
            return queryset.filter(organization__in=[owner.pk for owner in owners]), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="status", ordering="status")
    def state(self, backup: Backup) -> str:
        return badge("DAMAGED" if backup.is_damaged else backup.status)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("backups.change_backup")

    def is_offered(self, action: str, backup: Backup) -> bool:
        return backup.status == BackupStatus.AVAILABLE

    @admin.action(description="Verify", permissions=["act"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Backup]) -> None:
        for backup in queryset.order_by("pk"):
            try:
                job = _verify_and_record(request, backup)
            except ConsoleError as error:
                _record(request, backup, Outcome.REFUSED, f"{error.code}: {error.message}")
                self.message_user(request, without_constants(error.message), messages.ERROR)
            else:
                self.message_user(
                    request, f"Verification of {backup.name} requested: {job.task.task_id}."
                )


@transaction.atomic
def _verify_and_record(request: HttpRequest, backup: Backup) -> BackupJob:
    job = verify_backup(backup, by=support_label(request))
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
    nouns = ("job", "jobs of backups")
    list_display = [
        "task",
        "job_type",
        "state",
        "message",
        "backup",
        "cluster",
        "organization",
        "row_count",
        "task_link",
    ]
    renderers = {"job_type": words, "policy_id": link_to_id}
    list_prefetch_related = ["task", "backup", "cluster", "organization"]
    list_filter = ["job_type", "task__state", "organization"]
    search_fields = ["backup__exact"]
    search_help_text = "Complete id of a job or backup, name of a backup"
    readonly_fields = ["task_link"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[BackupJob], search_term: str
    ) -> tuple[QuerySet[BackupJob], bool]:
        """Look in one table, because a condition on two of them would read all jobs."""
        if search_term.startswith(f"{JOB_ID_PREFIX}-"):
            return queryset.filter(task__task_id=search_term), False
        if search_term:
            backups = Backup.objects.filter(Q(pk=search_term) | Q(name=search_term))
            return queryset.filter(backup__in=backups.order_by().values("pk")), False
        return queryset, False

    @admin.display(description="status", ordering="task__state")
    def state(self, job: BackupJob) -> str:
        return task_badge(job.task.state)

    def message(self, job: BackupJob) -> str:
        return plain(job.task.message)

    @admin.display(description="events, retry, cancel")
    def task_link(self, job: BackupJob) -> str:
        address = reverse("admin:tasks_task_change", args=[job.task.pk])
        return format_html('<a href="{}">The task of this job</a>', address)


@admin.register(SealedPart)
class SealedPartAdmin(ReadOnlyAdmin):
    list_display = ["backup", "number", "collection"]
    list_prefetch_related = ["backup"]
    search_fields = ["^backup__backup_id"]
    search_help_text = "Backup id"


@admin.register(BackupDownload)
class BackupDownloadAdmin(ReadOnlyAdmin):
    list_display = ["backup", "organization", "expires_at"]
    list_prefetch_related = ["backup", "organization"]
    search_fields = ["^backup__backup_id"]
    search_help_text = "Backup id"


@admin.register(JobCount)
class JobCountAdmin(ReadOnlyAdmin):
    list_display = ["organization", "count", "up_to"]
    list_prefetch_related = ["organization"]
    search_fields = ["organization__name"]
    search_help_text = "Organization name"


@admin.register(StorageDay)
class StorageDayAdmin(ReadOnlyAdmin):
    list_display = ["cluster", "day", "size_bytes", "organization"]
    list_prefetch_related = ["organization", "cluster"]
    list_filter = ["organization"]
    search_fields = ["^cluster__cluster_id", "organization__name"]
    search_help_text = "Cluster id, organization name"


@admin.register(StoreScan)
class StoreScanAdmin(ReadOnlyAdmin):
    list_display = ["store", "after"]
