"""Base of every admin page. Support staff can read rows and change them only through actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class ReadOnly:
    """No adding, changing or deleting. Reading requires Django's `view` permission."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    # Counting all rows besides the matching ones would scan the table a second time.
    show_full_result_count = False
    list_per_page = 50
    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = ()
    list_prefetch_related: ClassVar[Sequence[str]] = ()
    """Related rows that a list shows. A join instead lets SQLite read all rows before it sorts."""
    change_form_template = "admin/object_page.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # An action, which is a POST, may have more rows than SQLite can prefetch for.
        return (
            rows.prefetch_related(*self.list_prefetch_related) if request.method == "GET" else rows
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Offer the actions of the list on the page of the object, too."""
        actions = self.get_action_choices(request, default_choices=[])
        context = {**(extra_context or {}), "offered": actions}
        return super().change_view(request, object_id, form_url, context)

    def response_action(  # type: ignore[override]  # the stubs are of a later Django
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        response = super().response_action(request, queryset)
        object_id = request.POST.get(ACTION_CHECKBOX_NAME)
        if "back" in request.POST and self.get_object(request, str(object_id)):
            meta = self.opts
            return redirect(f"admin:{meta.app_label}_{meta.model_name}_change", object_id)
        return response


class ReadOnlyInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> list[str]:
        return list(flatten_fieldsets(self.get_fieldsets(request)))
