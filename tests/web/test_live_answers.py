"""Answers to open pages ahead of the usual way: the same rules of access, and nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import Cluster
from tests.web.test_live import OpenPage, settle
from vbase_console.core.prepared import Prepared
from vbase_console.organizations.models import Membership
from vbase_console.organizations.scopes import SCOPES_OF_ROLE, Role
from vbase_console.organizations.versions import raise_version
from vbase_console.tasks.models import Task
from vbase_console.web.live_answers import LiveAnswerMiddleware

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(
    make_cluster: Callable[..., Cluster], alice: User, signed_in: Callable[[User], Client]
) -> OpenPage:
    made = make_cluster()
    settle()
    return OpenPage(signed_in(alice), f"/o/acme/clusters/{made.pk}")


def test_session_and_version_are_two_statements(page: OpenPage) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert page.ask().status_code == 304
    assert len(captured.captured_queries) == 2


def test_a_session_that_has_expired_ends_them(page: OpenPage) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    assert page.ask().status_code == 401


def test_a_changed_password_ends_them(page: OpenPage, alice: User) -> None:
    alice.set_password("a completely different one")
    alice.save()
    assert page.ask().status_code == 401


def test_an_account_that_is_not_active_ends_them(page: OpenPage, alice: User) -> None:
    alice.is_active = False
    alice.save()
    assert page.ask().status_code == 401


def test_a_lost_membership_ends_them(page: OpenPage) -> None:
    Membership.objects.all().delete()
    assert page.ask().status_code == 404


def test_a_role_without_the_scope_of_the_page_ends_them(
    page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCOPES_OF_ROLE, Role.OWNER, frozenset())
    assert page.ask().status_code == 403


def test_only_pages_of_the_console_have_them(page: OpenPage) -> None:
    page.address = "/admin/"
    assert page.ask().status_code == 302


def test_a_foreign_host_is_refused(page: OpenPage, settings: object) -> None:
    settings.ALLOWED_HOSTS = ["console.example.com"]  # type: ignore[attr-defined]
    assert page.ask().status_code == 400


def test_a_version_of_another_number_takes_the_usual_way(page: OpenPage) -> None:
    raise_version(Membership.objects.get().organization_id)
    passed_on: list[object] = []
    middleware = LiveAnswerMiddleware(passed_on.append)  # type: ignore[arg-type]
    response = page.ask()
    middleware(response.wsgi_request)
    assert passed_on == [response.wsgi_request]


def test_a_prepared_query_gives_the_rows_of_other_values() -> None:
    def build(username: str) -> object:
        return User.objects.filter(username=username).values_list("username")

    prepared = Prepared(build, "<user>")  # type: ignore[arg-type]
    User.objects.create(username="first")
    User.objects.create(username="second")
    assert [prepared.rows(name) for name in ("first", "second", "none")] == [
        [("first",)],
        [("second",)],
        [],
    ]


def test_a_prepared_query_refuses_a_place_that_it_does_not_use() -> None:
    prepared = Prepared(lambda _: Task.objects.values_list("pk"), "<unused>")
    with pytest.raises(ValueError, match="<unused>"):
        prepared.rows("x")
