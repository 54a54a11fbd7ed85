from __future__ import annotations

from django.contrib import admin

from clusters.models import (
    Cluster,
    ClusterDay,
    KeptCopy,
    LoadSample,
    MetricSample,
    Rollout,
    RolloutStep,
)
from vbase_console.core.admin import ReadOnlyAdmin, ReadOnlyInline
from vbase_console.core.admin_columns import link_to_id, link_to_requester
from vbase_console.web.templatetags.console import badge, plain


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin):
    """Read-only page of clusters. The fields are listed, so that the sealed token is not shown."""

    list_display = [
        "name",
        "status",
        "organization",
        "version",
        "driver",
        "compute_units",
        "status_message",
        "created_at",
        "cluster_id",
    ]
    renderers = {"status": badge, "status_message": plain, "condition": badge}
    list_prefetch_related = ["organization"]
    list_filter = [
        "status",
        "driver",
        "version",
        "enable_auto_scaling",
        "created_at",
        "organization",
    ]
    search_fields = [
        "^cluster_id",
        "^service_id",
        "name",
        "organization__name",
        "^organization__id",
    ]
    search_help_text = "Cluster or service id, name, organization name or id"
    related_lists = {
        "Tasks": ("tasks_task", "cluster_id"),
        "Backups": ("backups_backup", "cluster_id"),
        "Policies": ("policies_backuppolicy", "cluster_id"),
        "Activity": ("organizations_auditentry", "cluster_id"),
    }
    related_pages = {"Story": "admin-cluster-story"}
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "cluster_id",
                    "service_id",
                    "organization",
                    "name",
                    "labels",
                    "deletion_protection",
                ]
            },
        ),
        (
            "State",
            {
                "fields": [
                    "status",
                    "status_message",
                    "condition",
                    "change_failed",
                    "wanted_running",
                    "seen_at",
                    "created_at",
                    "updated_at",
                    "deleted_at",
                ]
            },
        ),
        (
            "Resources",
            {
                "fields": [
                    "driver",
                    "version",
                    "compute_units",
                    "enable_auto_scaling",
                    "max_compute_units",
                    "enable_replicas",
                    "replicas",
                    "effective_cores",
                    "confinement",
                    "host",
                    "port",
                    "tls",
                    "ca_certificate",
                    "observe_after",
                ]
            },
        ),
    ]


@admin.register(KeptCopy)
class KeptCopyAdmin(ReadOnlyAdmin):
    """Read-only page of copies. The sampled answers contain keys of tenants' rows: not shown."""

    list_display = ["cluster", "version", "size_bytes", "created_at", "expires_at", "removing"]
    list_select_related = ["cluster"]
    fields = ["cluster", "version", "size_bytes", "created_at", "expires_at", "removing"]
    search_fields = ["^cluster__cluster_id", "cluster__name"]
    search_help_text = "Cluster id or name"


class RolloutStepInline(ReadOnlyInline):
    model = RolloutStep
    fields = [
        "position",
        "cluster",
        "from_version",
        "state",
        "task_id",
        "message",
        "started_at",
        "finished_at",
    ]
    renderers = {"state": badge, "message": plain, "task_id": link_to_id}


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    renderers = {"state": badge, "requested_by": link_to_requester}
    list_display = [
        "rollout_id",
        "organization",
        "version",
        "state",
        "requested_by",
        "created_at",
        "finished_at",
    ]
    list_prefetch_related = ["organization"]
    list_filter = ["state", "version", "created_at", "organization"]
    search_fields = ["^rollout_id", "organization__name", "^organization__id"]
    search_help_text = "Rollout id, organization name or id"
    inlines = [RolloutStepInline]


@admin.register(ClusterDay)
class ClusterDayAdmin(ReadOnlyAdmin):
    nouns = ("day of a cluster", "days of clusters")
    list_display = [
        "day",
        "cluster",
        "available_seconds",
        "interrupted_seconds",
        "stopped_seconds",
        "cause",
    ]
    list_select_related = ["cluster"]
    list_filter = ["day"]
    search_fields = ["=cluster__cluster_id"]
    search_help_text = "Cluster id"


@admin.register(LoadSample)
class LoadSampleAdmin(ReadOnlyAdmin):
    list_display = ["cluster", "at", "cpu_seconds", "cores"]
    list_prefetch_related = ["cluster"]
    search_fields = ["^cluster__cluster_id", "cluster__name"]
    search_help_text = "Cluster id or name"


@admin.register(MetricSample)
class MetricSampleAdmin(ReadOnlyAdmin):
    list_display = ["cluster", "at", "period_seconds", "cpu_cores", "memory_bytes", "rows"]
    list_select_related = ["cluster"]
    list_filter = ["period_seconds", "at"]
    search_fields = ["=cluster__cluster_id"]
    search_help_text = "Cluster id"
