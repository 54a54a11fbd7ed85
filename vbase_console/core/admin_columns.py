"""Columns of admin pages: values of model fields, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.contrib import admin
from django.db.models import (
    BooleanField,
    DateTimeField,
    Field,
    ForeignKey,
    IntegerField,
    JSONField,
    Model,
)
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from vbase_console.core import quantities
from vbase_console.core.labels import label_of, words_of_requester

Render = Callable[[Any], object]


@cache
def column_of(field: Field[Any, Any], render: Render) -> Callable[[Any], object]:
    """Column of lists and pages. One for each field, because the admin compares columns."""

    @admin.display(description=label_of(field.name), ordering=field.name)
    def in_words(row: Any) -> object:
        return text_of(render(getattr(row, field.name)))

    in_words.__name__ = field.name
    return in_words


def renderer_of(field: Field[Any, Any]) -> Render:
    """Return the rendering of a field by its type."""
    if isinstance(field, DateTimeField):
        return quantities.relative_time
    if field.name.endswith("_bytes"):
        return quantities.size
    if isinstance(field, BooleanField):
        return yes_or_no
    if isinstance(field, ForeignKey):
        return link_to
    if isinstance(field, JSONField):
        return json_in_words
    if isinstance(field, IntegerField) and not field.primary_key:
        return count_of
    return words_of_choice if field.choices else text_of


def text_of(value: object) -> object:
    return quantities.NONE if value in (None, "") else value


def count_of(value: int | None) -> str:
    return quantities.NONE if value is None else f"{value:,}"


def yes_or_no(value: bool | None) -> str:
    return quantities.NONE if value is None else "Yes" if value else "No"


def words_of_choice(value: str) -> object:
    return text_of(value.replace("_", " ").capitalize())


def link_to(row: Model | None) -> object:
    """Link to the admin page of a row."""
    if row is None:
        return quantities.NONE
    return format_html('<a href="{}">{}</a>', address_of(row), row)


def address_of(row: Model) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


def link_to_id(object_id: str) -> object:
    """Link an id that a row has as text. The search opens the page of its object."""
    if not object_id:
        return quantities.NONE
    return format_html('<a href="{}?q={}">{}</a>', reverse("admin-search"), object_id, object_id)


def link_to_person(email: str) -> object:
    return _link_to_person(email, email)


def link_to_requester(principal: str) -> object:
    """Name a principal as pages do. A key or the console itself has no page of its own."""
    name = words_of_requester(principal) if principal else ""
    return _link_to_person(principal.removeprefix("support:"), name)


def _link_to_person(email: str, name: str) -> object:
    if "@" not in email:
        return text_of(name)
    return format_html('<a href="{}?q={}">{}</a>', reverse("admin-search"), email, name)


LINKS = (link_to, link_to_id, link_to_person, link_to_requester)


def json_in_words(value: Any) -> object:
    """Render a list with commas, and a mapping as one `name: value` a line."""
    match value:
        case dict() if value:
            lines = ((name, _flat(item)) for name, item in value.items())
            return format_html_join("", "<div>{}: {}</div>", lines)
        case list() if any(isinstance(item, dict) for item in value):
            return format_html_join("", "<div>{}</div>", ((_flat(item),) for item in value))
        case _:
            return text_of(_flat(value))


def _flat(value: Any) -> str:
    match value:
        case Mapping():
            return ", ".join(f"{name}: {_flat(item)}" for name, item in value.items())
        case list() | tuple():
            return ", ".join(map(_flat, value))
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case _:
            return str(value)
