"""Every call that could change something leaves one row of history, accepted or refused. The admin,
where nothing but a few actions changes anything, has a walk of its own.
"""

from __future__ import annotations

import logging
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse

from tests.architecture import walker
from tests.architecture.cast import Cast, values_of, with_session
from tests.architecture.routes import CHANGING, Route, all_routes
from vbase_console.organizations import versions
from vbase_console.organizations.models import AuditEntry

ELSEWHERE = "proven step by step in tests/web/test_history_of_people.py"
# Route → why a call leaves no row.
UNAUDITED: dict[str, str] = {
    **dict.fromkeys(
        [
            "/o/<slug:organization>/backups/<str:backup_name>/restore",
            "/o/<slug:organization>/backups/<str:backup_name>/restore/tick",
            "/o/<slug:organization>/clusters/<slug:cluster_id>/take-backup/tick",
            "/o/<slug:organization>/clusters/<slug:cluster_id>/policies/preview",
            "/o/<slug:organization>/policies/<slug:policy_id>/preview",
        ],
        "a preview, or selected boxes of a form: no change is requested",
    ),
    "/v1/vbase/backup/org/<str:organization_id>": "a list that is documented to be asked by POST",
    "/v1/vbase/<str:service_id>/backup/policy/preview": "a look ahead that changes nothing",
    "/v1/vbase/rollouts/plan": "a look ahead that changes nothing",
    "/appearance": "light or dark, kept in a cookie of the browser",
    "/sign-in": f"who is in already is led on; who comes in is {ELSEWHERE}",
    "/welcome/<uidb64>/<token>": f"opens to a one-time link only; {ELSEWHERE}",
}


def changing_routes() -> list[Route]:
    """All routes except those of the admin; of the public ones those about the signed-in user."""
    return [
        route
        for route in all_routes()
        if route.interface != "ADMIN" and route.pattern not in UNAUDITED
        if route.pattern not in walker.OPEN or route.interface == "PERSON"
    ]


def unheard(cast: Cast, visitor: str) -> list[str]:
    """Calls that were served, or refused for a reason of their own, without a row; and calls that
    were served without a new version of the organization, by which open pages learn of them.
    """
    missing = []
    for route in changing_routes():
        for method in CHANGING:
            before = AuditEntry.objects.count()
            with patch.object(versions, "raise_version") as raised:
                response = asked(cast, visitor, route, method)
            rows = AuditEntry.objects.count() - before
            if response.status_code != 405 and rows != 1:
                missing.append(f"{method} {route}: {response.status_code}, {rows} rows")
            if response.status_code < 400 and not raised.called:
                missing.append(f"{method} {route}: open pages do not learn of it")
    return missing


def asked(cast: Cast, visitor: str, route: Route, method: str) -> HttpResponse:
    """Request the pages of a person with a new session each time, because one of them ends it."""
    address = route.address(values_of(cast.mine))
    if route.interface != "PERSON":
        return walker.send(cast, visitor, route, method, address)
    known = cast.visitors[visitor].pages.session["_auth_user_id"]
    return with_session(User.objects.get(pk=known)).generic(method, address)  # type: ignore[return-value]


def test_what_the_owner_asks_for_is_kept_and_no_secret_in_it_or_in_the_log(
    people: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    """Each row has its principal, action, outcome, source and interface."""
    with caplog.at_level(logging.DEBUG):
        assert unheard(people, "owner") == []
        walker.walk(people, "owner", "API", "ORGANIZATION", methods=("GET",))
    rows = AuditEntry.objects.all()
    assert not rows.filter(principal="") | rows.filter(action="") | rows.filter(outcome="")
    assert set(rows.values_list("source", flat=True)) == {"127.0.0.1"}
    assert set(rows.values_list("interface", flat=True)) == {"API", "PAGES"}
    said = caplog.text + str(list(rows.values_list("detail", "object_id")))
    assert [secret for secret in secrets_of(people) if secret in said] == []


def secrets_of(cast: Cast) -> list[str]:
    key = cast.visitors["owner"].api.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return [settings.SECRET_KEY, key.partition(".")[2], cast.mine.cluster.token]


def test_what_is_refused_for_want_of_the_right_is_kept(people: Cast) -> None:
    assert unheard(people, "viewer") == []
    accepted = AuditEntry.objects.exclude(outcome="REFUSED")
    assert set(accepted.values_list("action", flat=True)) == {"SignOut"}


def test_what_is_exempt_exists() -> None:
    assert UNAUDITED.keys() - {route.pattern for route in all_routes()} == set()
