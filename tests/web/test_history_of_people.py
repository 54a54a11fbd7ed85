"""Actions of users on their own accounts are audited in each of their organizations, without the
submitted values.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.serializers import serialize
from django.test import Client

from tests.conftest import PASSWORD
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry, Organization
from vbase_console.organizations.services import create_organization

NEW = "a password of my own"
CHOSEN = {"new_password1": NEW, "new_password2": NEW}
WRONG = "a wrong old password"


def kept() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("organization__name", "action", "outcome"))


def sign_in(client: Client, password: str = PASSWORD) -> Any:
    return client.post("/sign-in", {"username": "alice@example.com", "password": password})


@pytest.fixture
def invited(alices: Browser) -> str:
    """The page where Dora chooses her first password."""
    answer = alices.send("membership-create", email="dora@example.com", role="viewer")
    return str(answer.context["link"]).removeprefix("http://testserver")


def test_a_sign_in_says_who_came_and_from_where(client: Client, organization: Organization) -> None:
    sign_in(client)
    row = AuditEntry.objects.get()
    assert (row.action, row.principal) == ("SignIn", "alice@example.com")
    assert (row.source, row.interface, row.outcome) == ("127.0.0.1", "PAGES", "ACCEPTED")


def test_every_organization_of_the_person_learns_of_it(
    client: Client, organization: Organization, alice: User, charlie: User
) -> None:
    create_organization(name="beta", owner=alice)
    sign_in(client)
    assert sorted(kept()) == [("acme", "SignIn", "ACCEPTED"), ("beta", "SignIn", "ACCEPTED")]


def test_a_wrong_password_is_nobodys_and_leaves_no_row(
    client: Client, organization: Organization
) -> None:
    sign_in(client, WRONG)
    assert kept() == []


def test_a_sign_out_is_kept_and_only_the_first(alices: Browser) -> None:
    alices.client.post("/sign-out")
    alices.client.post("/sign-out")
    assert kept() == [("acme", "SignOut", "ACCEPTED")]


def test_support_that_signs_in_at_the_admin_is_kept_by_that_door(
    client: Client, organization: Organization, sam: User
) -> None:
    create_organization(name="support", owner=sam)
    form = {"username": sam.username, "password": PASSWORD, "next": "/admin/"}
    client.post("/admin/login/", form)
    client.post("/admin/logout/")
    assert kept() == [("support", "SignIn", "ACCEPTED"), ("support", "SignOut", "ACCEPTED")]
    assert set(AuditEntry.objects.values_list("interface", flat=True)) == {"ADMIN"}


def test_a_changed_password_is_kept(alices: Browser) -> None:
    alices.client.post("/password", CHOSEN | {"old_password": PASSWORD})
    assert kept() == [("acme", "ChangePassword", "ACCEPTED")]


def test_a_password_that_is_refused_is_kept_with_what_was_wrong(alices: Browser) -> None:
    alices.client.post("/password", CHOSEN | {"old_password": WRONG})
    assert kept() == [("acme", "ChangePassword", "REFUSED")]
    assert AuditEntry.objects.get().detail == "INVALID_ARGUMENT: Old password"


def test_the_password_of_an_invitation_is_kept(invited: str) -> None:
    newcomer = Client()
    newcomer.post(newcomer.get(invited).url, CHOSEN)
    assert [action for _, action, _ in kept()] == ["AddMember", "SetPassword", "SignIn"]
    assert AuditEntry.objects.filter(principal="dora@example.com").count() == 2


def test_a_first_password_that_is_too_short_is_kept_as_refused(invited: str) -> None:
    newcomer = Client()
    newcomer.post(newcomer.get(invited).url, {"new_password1": "x", "new_password2": "x"})
    assert kept()[1:] == [("acme", "SetPassword", "REFUSED")]


def test_a_link_that_opens_nothing_leaves_no_row(organization: Organization) -> None:
    Client().post("/welcome/MQ/set-password", CHOSEN)
    assert kept() == []


def test_no_row_holds_what_was_typed(alices: Browser, invited: str) -> None:
    alices.client.post("/password", CHOSEN | {"old_password": WRONG})
    newcomer = Client()
    newcomer.post(newcomer.get(invited).url, CHOSEN)
    rows = json.dumps(serialize("json", AuditEntry.objects.all()))
    assert [
        typed for typed in (PASSWORD, NEW, WRONG, invited.split("/")[-1]) if typed in rows
    ] == []


def test_staff_change_their_password_where_history_keeps_it(client: Client, sam: User) -> None:
    client.force_login(sam)
    assert client.get("/admin/password_change/").url == "/password"
    assert client.post("/admin/password_change/", CHOSEN).url == "/password"
