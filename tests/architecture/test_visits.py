"""A visit of support staff opens no address of an organization that changes something."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.architecture import walker
from tests.architecture.cast import Cast, values_of, with_session
from tests.architecture.routes import CHANGING
from vbase_console.organizations.models import AuditEntry

RECORDED = {"organizations_auditentry", "organizations_organizationversion", "django_session"}
"""Tables of refusals, of what a page shows, and of the session."""
WRITES = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')


@pytest.fixture
def visiting(people: Cast, sam: User) -> Client:
    support = with_session(sam)
    page = reverse("admin-visit", args=[people.mine.organization.pk])
    assert support.post(page, {"reason": "Ticket 4711"}).status_code == 302
    return support


def test_no_address_changes_anything_during_a_visit(people: Cast, visiting: Client) -> None:
    written: set[str] = set()

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        written.update(WRITES.findall(sql))
        return execute(sql, parameters, many, context)

    let_in = []
    routes = walker.walked("ORGANIZATION")
    with connection.execute_wrapper(note):
        for route in routes:
            for method in CHANGING:
                answer = visiting.generic(method, route.address(values_of(people.mine)))
                if answer.status_code not in (403, 405):
                    let_in.append(f"{method} {route} answers {answer.status_code}")
    assert (let_in, written - RECORDED) == ([], set())
    assert routes


def test_each_refused_change_is_in_the_activity(people: Cast, visiting: Client) -> None:
    page = reverse("cluster-stop", args=[people.mine.organization.name, people.mine.cluster.pk])
    assert visiting.post(page).status_code == 403
    entry = AuditEntry.objects.get(action="StopCluster")
    assert (entry.principal, entry.outcome) == ("support:sam@example.com", "REFUSED")
