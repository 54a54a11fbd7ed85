"""Every call that could change something leaves one row of history, accepted or refused."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings

from tests.architecture import walker
from tests.architecture.cast import Cast, values_of
from tests.architecture.routes import CHANGING, Route
from vbase_console.organizations.models import AuditEntry

# Route → why a call leaves no row.
UNAUDITED: dict[str, str] = {
    "/v1/vbase/backup/org/<str:organization_id>": "a list that is documented to be asked by POST",
    "/v1/vbase/<str:service_id>/backup/policy/preview": "a look ahead that changes nothing",
}


def changing_routes() -> list[Route]:
    return [
        route
        for route in walker.walked()
        if route.door in ("API", "ORGANIZATION") and route.pattern not in UNAUDITED
    ]


def unheard(cast: Cast, visitor: str) -> list[str]:
    """Calls that were served, or refused for a reason of their own, without a row."""
    values, missing = values_of(cast.mine), []
    for route in changing_routes():
        for method in CHANGING:
            before = AuditEntry.objects.count()
            response = walker.knock(cast, visitor, route, method, route.address(values))
            rows = AuditEntry.objects.count() - before
            if response.status_code != 405 and rows != 1:
                missing.append(f"{method} {route}: {response.status_code}, {rows} rows")
    return missing


def test_what_the_owner_asks_for_is_kept(people: Cast) -> None:
    assert unheard(people, "owner") == []


def test_what_is_refused_for_want_of_the_right_is_kept(people: Cast) -> None:
    assert unheard(people, "viewer") == []
    assert not AuditEntry.objects.exclude(outcome="REFUSED").exists()


def test_a_row_says_who_what_on_what_from_where_and_how_it_ended(people: Cast) -> None:
    unheard(people, "owner")
    assert not AuditEntry.objects.filter(principal="").exists()
    assert not AuditEntry.objects.filter(action="").exists()
    assert not AuditEntry.objects.exclude(source="127.0.0.1").exists()
    assert set(AuditEntry.objects.values_list("door", flat=True)) == {"API", "PAGES"}


def test_no_secret_reaches_the_log_or_the_history(
    people: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    key = people.visitors["owner"].api.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    secrets = [settings.SECRET_KEY, key.partition(".")[2], people.mine.cluster.token]
    with caplog.at_level(logging.DEBUG):
        unheard(people, "owner")
        walker.hide_from_the_owner(people)
    said = caplog.text + str(list(AuditEntry.objects.values_list("detail", "object_id")))
    assert [secret for secret in secrets if secret in said] == []
