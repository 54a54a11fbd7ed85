from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify

from vbase_console.core import quantities
from vbase_console.core.labels import words_of_action, words_of_requester
from vbase_console.organizations.tenancy import Principal
from vbase_console.web.glossary import TERMS
from vbase_console.web.wording import readable

register = template.Library()

TONES = {
    "good": {"RUNNING", "SUCCEEDED", "ACCEPTED", "AVAILABLE", "COVERED"},
    "warn": {"STALE"},
    "busy": {"CREATING", "UPDATING", "RESIZING", "STOPPING", "DELETING", "CANCELLING", "PENDING"},
    "bad": {"ERROR", "UPDATE_FAILED", "FAILED", "REFUSED", "DAMAGED", "UNCOVERED"},
}
WORDS = {
    "API": "API",
    "grpc": "gRPC",
    "PAGES": "Web",
    "VERSION_UPGRADE": "Upgrade",
    "COMMAND": "Console command",
}


@register.filter
def words(name: str) -> str:
    """Return UPDATE_FAILED as "Update failed"."""
    return WORDS.get(name, str(name).replace("_", " ").capitalize())


@register.simple_tag
def term(name: str, label: str = "") -> SafeString:
    """Render a term of the glossary with its explanation, which needs no script to open.

    A page explains a term once, because the explanation has an id.
    """
    return format_html(
        '<button type="button" class="term" popovertarget="term-{0}">{1}</button>'
        '<span id="term-{0}" class="explanation" popover>{2}</span>',
        slugify(name),
        label or name,
        TERMS[name],
    )


@register.filter
def plain(message: str) -> str:
    """Render a stored message without ids and constants."""
    return readable(str(message))


@register.filter
def tone(state: str) -> str:
    return next((name for name, states in TONES.items() if state in states), "still")


@register.simple_tag
def badge(state: str) -> SafeString:
    return format_html('<span class="badge badge-{}">{}</span>', tone(state), words(state))


@register.simple_tag
def task_badge(state: str) -> SafeString:
    # A running task is in progress, unlike a running cluster.
    tone_name = "busy" if state == "RUNNING" else tone(state)
    return format_html('<span class="badge badge-{}">{}</span>', tone_name, words(state))


register.filter(words_of_action)
register.filter("requester", words_of_requester)
register.filter("moment", quantities.relative_time)
register.filter("exact", quantities.exact_time)
register.filter("duration", quantities.duration)
register.filter("size", quantities.size)


@register.simple_tag
def took(started: datetime | None, finished: datetime | None) -> SafeString | str:
    if started is None or finished is None:
        return quantities.NONE
    return quantities.duration((finished - started).total_seconds())


@register.filter
def number(count: int | None) -> str:
    return "—" if count is None else f"{count:,}"


@register.filter
def item(values: Mapping[str, object], key: str) -> object | None:
    return values.get(key)


@register.filter
def may(principal: Principal, scope: str) -> bool:
    return principal.may(scope)


@register.inclusion_tag("web/partials/entry.html", takes_context=True)
def entry(
    context: template.Context, name: str, title: str, page: str, key: str, anchor: str = ""
) -> dict[str, object]:
    """Render an entry of the navigation. `name` is that of the icon and of `Page.nav`."""
    return {
        "name": name,
        "title": title,
        "address": reverse(page, args=[context["organization"]]),
        "key": key,
        "anchor": anchor,
        "is_current": context.get("nav") == name,
    }


@register.inclusion_tag("web/partials/column.html", takes_context=True)
def column(
    context: template.Context, title: str, field: str, css_class: str = ""
) -> dict[str, object]:
    """Render a table heading that sorts by `field`. The second click reverses the order."""
    current = context["filter"].order
    descending = current == f"-{field}"
    return {
        "title": title,
        "css_class": css_class,
        "sort": field if descending or current != field else f"-{field}",
        "direction": {field: "ascending", f"-{field}": "descending"}.get(current, "none"),
        "request": context["request"],
    }
