from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from vbase_console.core.admin import ReadOnlyAdmin, ReadOnlyInline
from vbase_console.core.admin_columns import link_to_id, link_to_requester, text_of
from vbase_console.core.labels import words_of_action
from vbase_console.core.quantities import NONE
from vbase_console.organizations.audit import Interface
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership, Organization
from vbase_console.web.differences import differences_of
from vbase_console.web.templatetags.console import badge, words
from vbase_console.web.wording import TASK_ID, reason_of


class MembershipInline(ReadOnlyInline):
    model = Membership
    fields = ["user", "role", "created_at"]
    renderers = {"role": words}


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    list_display = ["name", "id", "is_demo", "created_at"]
    search_fields = ["name", "^id"]
    search_help_text = "Name or id"
    fields = ["name", "id", "timezone", "is_demo", "created_at"]
    related_lists = {
        "Clusters": ("clusters_cluster", "name"),
        "Backups": ("backups_backup", "name"),
        "Policies": ("policies_backuppolicy", "name"),
        "Tasks": ("tasks_task", "name"),
        "Members": ("organizations_membership", "name"),
        "API keys": ("organizations_apikey", "name"),
        "Activity": ("organizations_auditentry", "name"),
    }
    related_pages = {"Read the organization's pages": "admin-visit"}
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    renderers = {"role": words}
    list_prefetch_related = ["user", "organization"]
    list_filter = ["role"]
    search_fields = ["user__username", "organization__name", "^organization__id"]
    search_help_text = "E-mail, organization name or id"
    fields = ["user", "organization", "role", "created_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys. The fields are listed explicitly, so that the hash is not shown."""

    list_display = ["name", "prefix", "organization", "revoked", "expiry_date", "last_used_at"]
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
    renderers = {"created_by": link_to_requester}


class InterfaceFilter(admin.SimpleListFilter):
    title = "source"
    parameter_name = "interface"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(interface.value, interface.label) for interface in Interface]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(interface=self.value()) if self.value() else queryset


def detail_in_words(detail: str) -> object:
    """Link the task of an accepted call, and show any other detail in words."""
    return link_to_id(detail) if TASK_ID.match(detail) else text_of(reason_of(detail))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Activity of all organizations, with the differences that every member may read."""

    nouns = ("activity entry", "activity entries")
    list_display = [
        "at",
        "organization",
        "principal",
        "action",
        "object_id",
        "outcome",
        "detail",
        "differences",
        "origin",
    ]
    fields = [
        "at",
        "organization",
        "principal",
        "action",
        "object_id",
        "outcome",
        "detail",
        "differences",
        "origin",
    ]
    readonly_fields = ["differences", "origin"]
    renderers = {
        "action": words_of_action,
        "principal": link_to_requester,
        "object_id": link_to_id,
        "outcome": badge,
        "detail": detail_in_words,
    }
    list_prefetch_related = ["organization"]
    list_filter = ["outcome", InterfaceFilter, "at", "organization"]
    search_fields = ["^object_id", "principal", "action", "organization__name", "^organization__id"]
    search_help_text = "Object id, principal, action, organization name or id"

    @admin.display(description="source", ordering="interface")
    def origin(self, entry: AuditEntry) -> str:
        address = format_html("<div>{}</div>", entry.source) if entry.source else ""
        return format_html("<div>{}{}</div>", words(entry.interface), address)

    @admin.display(description="changes", empty_value=NONE)
    def differences(self, entry: AuditEntry) -> str:
        lines = (
            (
                difference.label,
                format_html("<del>{}</del> → ", difference.old) if difference.old else "",
                difference.new,
            )
            for difference in differences_of(entry.changes)
        )
        return format_html_join("", "<div>{}: {}<ins>{}</ins></div>", lines)
