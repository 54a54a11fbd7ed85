"""Backups and their jobs as support staff see them; retry, cancel and history are the task's."""

from __future__ import annotations

from django.contrib import admin

from backups.models import Backup, BackupJob, SealedPart
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
