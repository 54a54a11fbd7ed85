from __future__ import annotations

from django.contrib import admin

from vbase_console.core.admin import ReadOnlyAdmin, ReadOnlyInline
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership, Organization


class MembershipInline(ReadOnlyInline):
    model = Membership
    fields = ["user", "role", "created_at"]


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    list_display = ["name", "id", "created_at"]
    search_fields = ["name", "^id"]
    search_help_text = "Name or id"
    fields = ["id", "name", "created_at"]
    related_lists = {
        "Clusters": ("clusters_cluster", "name"),
        "Backups": ("backups_backup", "name"),
        "Policies": ("policies_backuppolicy", "name"),
        "Tasks": ("tasks_task", "name"),
        "Calls": ("organizations_auditentry", "name"),
    }
    related_pages = {"Read the organization's pages": "admin-visit"}
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_prefetch_related = ["user", "organization"]
    list_filter = ["role"]
    search_fields = ["user__username", "organization__name", "^organization__id"]
    search_help_text = "E-mail, organization name or id"
    fields = ["user", "organization", "role", "created_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys. The fields are listed explicitly, so that the hash is not shown."""

    list_display = ["prefix", "name", "organization", "revoked", "expiry_date", "last_used_at"]
    list_prefetch_related = ["organization"]
    list_filter = ["revoked", "created"]
    search_fields = ["^prefix", "name", "organization__name", "^organization__id"]
    search_help_text = "Prefix, name, organization name or id"
    fields = [
        "prefix",
        "name",
        "organization",
        "scopes",
        "created",
        "created_by",
        "expiry_date",
        "last_used_at",
        "revoked",
    ]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = [
        "at",
        "organization",
        "principal",
        "action",
        "object_id",
        "outcome",
        "interface",
        "source",
        "detail",
    ]
    list_prefetch_related = ["organization"]
    list_filter = ["outcome", "interface", "at", "organization"]
    search_fields = ["^object_id", "principal", "action", "organization__name", "^organization__id"]
    search_help_text = "Object id, principal, action, organization name or id"
