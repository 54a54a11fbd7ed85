"""The admin writes nothing but what its actions ask for, and each of them leaves a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from tests.architecture.cast import Cast, with_session
from tests.architecture.routes import CHANGING, Route, all_routes
from vbase_console.organizations.models import AuditEntry

# Table that a call may write without a row of history → why.
UNTOLD: dict[str, str] = {
    "axes_accesslog": "the library's log of sessions, beside the rows of history",
    "django_session": "who is signed in, beside the rows of history",
}
WRITES = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
PAGES = {f"/admin/{m._meta.app_label}/{m._meta.model_name}/": m for m in admin.site._registry}
ACTING = [model for model, page in admin.site._registry.items() if page.actions]


@pytest.fixture(autouse=True)
def locked_out(people: Cast, alice: User) -> None:
    """From one address for each action that unlocks."""
    for address in ("192.0.2.1", "192.0.2.2"):
        AccessAttempt.objects.create(
            username=alice.username, ip_address=address, failures_since_start=10
        )


class Written:
    """The tables that statements write to."""

    def __init__(self) -> None:
        self.tables: set[str] = set()

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if found := WRITES.match(sql):
            self.tables.add(found[1])
        return execute(sql, parameters, many, context)


def written_untold(staff: User, below: str = "/admin/") -> list[str]:
    """Return the addresses of the admin that write rows without an audit entry."""
    silent = []
    client = with_session(staff)
    for route in [route for route in all_routes() if route.pattern.startswith(below)]:
        for method, form in calls(route):
            if not client.cookies[settings.SESSION_COOKIE_NAME].value:  # an address signed out
                client = with_session(staff)
            with connection.execute_wrapper(written := Written()):
                call(client, route, method, form)
            tables = written.tables
            if tables - UNTOLD.keys() and AuditEntry._meta.db_table not in tables:
                silent.append(f"{method} {route} {form} writes {sorted(tables)}")
    assert client.get("/admin/").status_code == 200
    return silent


def calls(route: Route) -> Iterator[tuple[str, dict[str, str]]]:
    """A plain confirmation by every method, and what lists are asked to do with a row."""
    yield from ((method, {"post": "yes"}) for method in CHANGING)
    if route.pattern in PAGES:
        chosen = {"_selected_action": first_row(PAGES[route.pattern]), "post": "yes"}
        for action in ("delete_selected", *actions_of(PAGES[route.pattern])):
            yield "POST", chosen | {"action": action}


def call(client: Client, route: Route, method: str, form: dict[str, str]) -> HttpResponse:
    model = next((m for page, m in PAGES.items() if route.pattern.startswith(page)), None)
    first = first_row(model) if model else "1"
    values = {"content_type_id": "1", "app_label": "tasks", "url": "nothing/"}
    values |= dict.fromkeys(["object_id", "cluster_id", "organization_id"], first)
    address = route.address(values)
    return client.post(address, form) if method == "POST" else client.generic(method, address)  # type: ignore[return-value]


def first_row(model: type[Model]) -> str:
    row = model._default_manager.first()
    return str(row.pk) if row else "1"


def actions_of(model: type[Model]) -> list[str]:
    return [str(action) for action in admin.site._registry[model].actions or ()]


def test_nothing_is_written_that_history_does_not_tell(sam: User) -> None:
    assert written_untold(sam) == []


@pytest.mark.parametrize("model", ACTING, ids=lambda model: model._meta.label_lower)
def test_every_action_leaves_a_row(sam: User, model: type[Model]) -> None:
    address = next(page for page, listed in PAGES.items() if listed is model)
    for done, action in enumerate(actions_of(model), start=1):
        with_session(sam).post(address, {"action": action, "_selected_action": first_row(model)})
        told = AuditEntry.objects.filter(interface="ADMIN", principal=f"support:{sam.username}")
        assert told.count() == done


def test_it_notices_a_page_that_deletes(sam: User, monkeypatch: pytest.MonkeyPatch) -> None:
    page = type(admin.site._registry[AccessAttempt])
    monkeypatch.setattr(page, "has_delete_permission", lambda *arguments: True)
    address = "/admin/axes/accessattempt/"
    assert written_untold(sam, below=address)[0].startswith(f"POST {address} ")
