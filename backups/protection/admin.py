from __future__ import annotations

from django.contrib import admin

from backups.protection.models import InventoryScan, KnownCollection
from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.web.templatetags.console import plain


@admin.register(KnownCollection)
class KnownCollectionAdmin(ReadOnlyAdmin):
    nouns = ("collection", "collections")
    list_display = [
        "name",
        "db_name",
        "cluster",
        "organization",
        "policy",
        "rpo_deadline",
        "newest_backup",
        "proven_backup",
        "seen_at",
    ]
    list_prefetch_related = ["cluster", "organization", "policy", "newest_backup", "proven_backup"]
    list_filter = ["organization"]
    search_fields = ["name", "^cluster__cluster_id", "organization__name"]
    search_help_text = "Collection, cluster id, organization name"


@admin.register(InventoryScan)
class InventoryScanAdmin(ReadOnlyAdmin):
    renderers = {"error_message": plain}
    list_display = [
        "cluster",
        "organization",
        "scanned_at",
        "next_scan_at",
        "failures",
        "error_message",
    ]
    list_prefetch_related = ["cluster", "organization"]
    list_filter = ["organization"]
    search_fields = ["^cluster__cluster_id", "cluster__name", "organization__name"]
    search_help_text = "Cluster id or name, organization name"
