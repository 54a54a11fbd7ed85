"""Base of every admin page. Support staff can read rows and change them only through actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.text import capfirst

from vbase_console.core import quantities
from vbase_console.core.admin_columns import (
    LINKS,
    Render,
    address_of,
    column_of,
    renderer_of,
    text_of,
)
from vbase_console.core.labels import label_of
from vbase_console.core.paginators import BoundedPaginator


class AskingActionForm(ActionForm):
    """Form of an action that asks for a confirmation before it loses something."""

    ask = forms.CharField(required=False, initial="yes", label="", widget=forms.HiddenInput)


class ReadOnlyChangeList(ChangeList):
    """List with the name of its rows as heading, and filters with the labels of the columns."""

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.title = capfirst(self.model_admin.noun_plural)  # type: ignore[attr-defined]

    def get_filters(self, request: HttpRequest) -> Any:
        specs, *others = super().get_filters(request)
        for spec in specs:
            if field := getattr(spec, "field", None):
                spec.title = label_of(field.name)
        return specs, *others


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
    renderers: ClassVar[Mapping[str, Render]] = {}
    """Field → rendering, where that of its type is not enough: states, messages, ids as text."""
    nouns: ClassVar[tuple[str, str]] = ("", "")
    """Name of one row and of several, where that of the model is not what people call it."""
    empty_value_display = quantities.NONE
    action_form = AskingActionForm
    change_form_template = "admin/object_page.html"

    @property
    def noun(self) -> str:
        return str(self.nouns[0] or self.opts.verbose_name)

    @property
    def noun_plural(self) -> str:
        return str(self.nouns[1] or self.opts.verbose_name_plural)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ReadOnlyChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # An action, which is a POST, may have more rows than SQLite can prefetch for.
        return (
            rows.prefetch_related(*self.list_prefetch_related) if request.method == "GET" else rows
        )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        first, *others = super().get_list_display(request)
        return [self._in_words(first, is_link=True), *map(self._in_words, others)]

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

    def _in_words(self, column: Any, is_link: bool = False) -> Any:
        """Return a column that shows a field in words, and any other column unchanged. The text of
        a column that leads to its own row contains no other link.
        """
        if not isinstance(column, str) or hasattr(self, column):
            return column
        try:
            field = self.opts.get_field(column)
        except FieldDoesNotExist:
            return column
        if not isinstance(field, Field) or field.many_to_many:
            return column
        render = self.renderers.get(column) or renderer_of(field)
        return column_of(field, text_of if is_link and render in LINKS else render)

    def neighbours_of(self, row: Any) -> list[tuple[str, str]]:
        """Return label and address of each page about a related object of a row."""
        links = []
        for field in self.opts.get_fields():
            related = getattr(row, field.name, None) if field.many_to_one else None
            if isinstance(related, Model) and admin.site.is_registered(type(related)):
                links.append((f"{capfirst(label_of(field.name))} {related}", address_of(related)))
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
        row = self.get_object(request, unquote(object_id))
        choices = self.get_action_choices(request, default_choices=[])
        offered = [choice for choice in choices if row and self.is_offered(choice[0], row)]
        context = {**(extra_context or {}), "offered": offered}
        return super().change_view(request, object_id, form_url, context)

    def is_offered(self, action: str, row: Any) -> bool:
        """True if the state of a row allows an action, so that its page offers it."""
        return True

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        context["neighbours"] = self.neighbours_of(row) if row is not None else []
        context |= {
            "title": f"{capfirst(self.noun)} {row}",
            "subtitle": None,
            "list_title": capfirst(self.noun_plural),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def response_action(  # type: ignore[override]  # the stubs are of a later Django
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        response = super().response_action(request, queryset)
        object_id = request.POST.get(ACTION_CHECKBOX_NAME)
        is_done = isinstance(response, HttpResponseRedirect)
        if is_done and "back" in request.POST and self.get_object(request, str(object_id)):
            meta = self.opts
            return redirect(f"admin:{meta.app_label}_{meta.model_name}_change", object_id)
        return response


class ReadOnlyInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    template = "admin/read_only_inline.html"
    extra = 0
    can_delete = False
    renderers: ClassVar[Mapping[str, Render]] = {}

    def get_fields(self, request: HttpRequest, obj: object = None) -> Any:
        fields: list[Any] = [self.opts.get_field(name) for name in self.fields or ()]  # type: ignore[arg-type]
        return [
            column_of(field, self.renderers.get(field.name) or renderer_of(field))
            for field in fields
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request))
