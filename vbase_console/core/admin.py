"""Base of every admin page. Support staff can read rows and change them only through actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from vbase_console.core import quantities
from vbase_console.core.paginators import BoundedPaginator


@cache
def _column_in_words(
    field: Field[Any, Any], render: Callable[[Any], object]
) -> Callable[[Any], object]:
    """Column of lists and pages. One for each field, because the admin compares columns."""

    @admin.display(description=field.verbose_name, ordering=field.name)
    def in_words(row: Any) -> object:
        return render(getattr(row, field.name))

    in_words.__name__ = field.name
    return in_words


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
    paginator = BoundedPaginator
    list_per_page = 50
    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = ()
    list_prefetch_related: ClassVar[Sequence[str]] = ()
    """Related rows that a list shows. A join instead lets SQLite read all rows before it sorts."""
    related_lists: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Label → list and attribute of the object that the list is searched for."""
    related_pages: ClassVar[Mapping[str, str]] = {}
    """Label → page that takes the key of the object."""
    change_form_template = "admin/object_page.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # An action, which is a POST, may have more rows than SQLite can prefetch for.
        return (
            rows.prefetch_related(*self.list_prefetch_related) if request.method == "GET" else rows
        )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        first, *others = super().get_list_display(request)
        return [first, *(self._in_words(column) for column in others)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (
                title,
                {**options, "fields": list(dict.fromkeys(map(self._in_words, options["fields"])))},
            )
            for title, options in super().get_fieldsets(request, obj)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        columns = [self._in_words(field.name) for field in self.opts.get_fields()]
        return [*super().get_readonly_fields(request, obj), *filter(callable, columns)]

    def _in_words(self, column: Any) -> Any:
        """Return a column that shows a time or a size in words, and any other column unchanged."""
        if not isinstance(column, str) or hasattr(self, column):
            return column
        try:
            field = self.opts.get_field(column)
        except FieldDoesNotExist:
            return column
        if isinstance(field, DateTimeField):
            return _column_in_words(field, quantities.relative_time)
        if isinstance(field, Field) and column.endswith("_bytes"):
            return _column_in_words(field, quantities.size)
        return column

    def neighbours_of(self, row: Any) -> list[tuple[str, str]]:
        """Return label and address of each page about a related object of a row."""
        links = []
        for field in self.opts.get_fields():
            related = getattr(row, field.name, None) if field.many_to_one else None
            if isinstance(related, Model) and admin.site.is_registered(type(related)):
                meta = related._meta
                address = reverse(
                    f"admin:{meta.app_label}_{meta.model_name}_change", args=[related.pk]
                )
                links.append((f"{str(meta.verbose_name).capitalize()} {related}", address))
        for label, (page, attribute) in self.related_lists.items():
            query = urlencode({"q": getattr(row, attribute)})
            links.append((label, f"{reverse(f'admin:{page}_changelist')}?{query}"))
        links += [
            (label, reverse(page, args=[row.pk])) for label, page in self.related_pages.items()
        ]
        return links

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

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        context["neighbours"] = self.neighbours_of(row) if row is not None else []
        return super().render_change_form(request, context, *args, **kwargs)

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
