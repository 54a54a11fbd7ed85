from __future__ import annotations

from django.contrib import admin

from vbase_console.api.models import IdempotentAnswer
from vbase_console.core.admin import ReadOnlyAdmin


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnlyAdmin):
    """Admin page without the body of the answer, which may contain an access token."""

    list_display = ["created_at", "organization", "method", "path", "key", "status"]
    list_prefetch_related = ["organization"]
    list_filter = ["method", "status"]
    search_fields = ["key", "path", "organization__name", "^organization__id"]
    search_help_text = "Idempotency key, path, organization name or id"
    fields = ["organization", "method", "path", "key", "fingerprint", "status", "created_at"]
