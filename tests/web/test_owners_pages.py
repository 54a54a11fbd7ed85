"""Members, keys and activity."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.web.conftest import Browser
from vbase_console.organizations.authentication import principal_of_key
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership
from vbase_console.organizations.scopes import ALL_SCOPES, READING

NEW = {"new_password1": "a password of my own", "new_password2": "a password of my own"}


def invitation(answer: Any) -> str:
    assert b'id="invitation" tabindex="-1" autofocus' in answer.content
    return str(answer.context["link"]).removeprefix("http://testserver")


def test_somebody_new_comes_in_with_a_link(alices: Browser) -> None:
    answer = alices.send("membership-create", email=" Dora@Example.com", role="viewer")
    newcomer = Client()
    form = newcomer.get(newcomer.get(invitation(answer)).url)
    assert newcomer.post(form.request["PATH_INFO"], NEW).url == "/"
    assert newcomer.get("/").url == "/o/acme/"
    assert Membership.objects.get(user__username="dora@example.com").role == "viewer"


def test_a_link_works_once(alices: Browser) -> None:
    answer = alices.send("membership-create", email="dora@example.com", role="viewer")
    newcomer = Client()
    newcomer.post(newcomer.get(invitation(answer)).url, NEW)
    assert b"already used or has expired" in Client().get(invitation(answer)).content


def test_somebody_known_is_added_without_a_link(alices: Browser, charlie: User) -> None:
    answer = alices.send("membership-create", email="charlie@example.com", role="operator")
    assert answer.url == "/o/acme/members"
    assert Membership.objects.filter(user=charlie).count() == 2


def test_no_link_is_made_for_somebody_who_signs_in_already(alices: Browser, bob: User) -> None:
    key = Membership.objects.get(user=bob).pk
    assert alices.send("membership-invite", key).status_code == 400


def test_the_page_for_a_new_link_says_at_once_why_there_is_none(alices: Browser, bob: User) -> None:
    page = alices.open("membership-invite", Membership.objects.get(user=bob).pk).content.decode()
    assert "bob@example.com already has a password" in page
    assert "ask the operator of this console" in page
    assert "Create link" not in page


def test_whoever_was_invited_is_offered_a_new_link_and_nobody_else(
    alices: Browser, bob: User
) -> None:
    alices.send("membership-create", email="dora@example.com", role="viewer")
    dora = Membership.objects.get(user__username="dora@example.com")
    page = alices.open("membership-list").content.decode()
    assert page.count("Create link") == 1
    assert alices.address("membership-invite", dora.pk) in page


@pytest.mark.parametrize(
    ("page", "form", "action"),
    [
        ("membership-role", {"role": "admin"}, "ChangeRole"),
        ("membership-invite", {}, "InviteMember"),
        ("membership-remove", {}, "RemoveMember"),
    ],
)
def test_history_names_members_by_their_address(
    alices: Browser, bob: User, page: str, form: dict[str, str], action: str
) -> None:
    alices.send(page, Membership.objects.get(user=bob).pk, **form)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == (action, "bob@example.com")


def test_a_member_is_not_added_twice(alices: Browser, bob: User) -> None:
    answer = alices.send("membership-create", email="bob@example.com", role="viewer")
    assert answer.status_code == 409
    assert b"Change the role instead" in answer.content


def test_a_role_changes_what_a_member_may_do(alices: Browser, bobs: Browser, bob: User) -> None:
    assert bobs.open("cluster-create").status_code == 403
    alices.send("membership-role", Membership.objects.get(user=bob).pk, role="admin")
    assert bobs.open("cluster-create").status_code == 200


def test_the_last_owner_stays(alices: Browser, alice: User) -> None:
    key = Membership.objects.get(user=alice).pk
    answer = alices.send("membership-remove", key)
    assert answer.status_code == 400
    assert b"Assign another owner first" in answer.content


def test_a_removed_member_sees_nothing_any_more(alices: Browser, bobs: Browser, bob: User) -> None:
    alices.send("membership-remove", Membership.objects.get(user=bob).pk)
    assert bobs.open("overview").status_code == 404


def test_members_of_others_are_not_found(alices: Browser, charlie: User) -> None:
    key = Membership.objects.get(user=charlie).pk
    assert alices.open("membership-remove", key).status_code == 404


def test_a_key_is_shown_once(alices: Browser) -> None:
    answer = alices.send("api-key-create", name="ci", scopes=["GetCluster"])
    text = answer.context["text"]
    assert principal_of_key(text).scopes == {"GetCluster"}
    assert text in answer.content.decode()
    assert text not in alices.open("api-key-list").content.decode()


@pytest.mark.parametrize("query", [{}, {"scopes": "reading"}])
def test_a_key_begins_with_reading_only(alices: Browser, query: dict[str, str]) -> None:
    assert ticked(alices.open("api-key-create", **query)) == sorted(READING)


def test_every_scope_is_ticked_without_losing_what_was_typed(alices: Browser) -> None:
    typed = {"name": "ci", "expires_at": "2100-01-31"}
    answer = alices.send("api-key-create", tick="all", **typed)
    assert ticked(answer) == sorted(ALL_SCOPES)
    assert 'value="ci"' in answer.content.decode()
    assert 'value="2100-01-31"' in answer.content.decode()
    assert not ApiKey.objects.exists()
    assert not AuditEntry.objects.exists()


def ticked(answer: Any) -> list[str]:
    box = r'type="checkbox" name="scopes" value="(\w+)"([^>]*)>'
    boxes = re.findall(box, answer.content.decode())
    return sorted(scope for scope, rest in boxes if "checked" in rest)


def test_a_key_works_until_the_end_of_its_last_day(alices: Browser) -> None:
    alices.send("api-key-create", name="ci", scopes=["GetCluster"], expires_at="2100-01-31")
    assert ApiKey.objects.get().expiry_date == datetime(2100, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "ci"}, "scopes"),
        ({"name": "", "scopes": ["GetCluster"]}, "name"),
        ({"name": "ci", "scopes": ["GetCluster"], "expires_at": "2020-01-01"}, "expires_at"),
        ({"name": "ci", "scopes": ["ManageOrganization"]}, "scopes"),
    ],
)
def test_a_key_that_cannot_be_is_refused_at_the_field(
    alices: Browser, form: dict[str, Any], field: str
) -> None:
    answer = alices.send("api-key-create", **form)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_a_revoked_key_opens_nothing(alices: Browser, api_key: str) -> None:
    alices.send("api-key-revoke", ApiKey.objects.get().prefix)
    assert ApiKey.objects.get().revoked
    assert AuditEntry.objects.get().action == "RevokeApiKey"


def test_keys_of_others_are_not_found(charlies: Browser, api_key: str) -> None:
    charlies.organization = "other"
    assert charlies.send("api-key-revoke", ApiKey.objects.get().prefix).status_code == 404


def test_activity_lists_what_was_done_and_filters_it(alices: Browser, bobs: Browser) -> None:
    bobs.send("cluster-create", name="x")
    alices.send("membership-create", email="dora@example.com", role="viewer")
    assert shown(alices.open("activity-list")) == ["AddMember", "CreateCluster"]
    assert shown(alices.open("activity-list", outcome="REFUSED")) == ["CreateCluster"]
    assert shown(alices.open("activity-list", q="dora")) == ["AddMember"]
    assert shown(alices.open("activity-list", interface="API")) == []


def shown(answer: Any) -> list[str]:
    return [entry.action for entry in answer.context["rows"]]


def test_the_key_itself_never_reaches_the_record(alices: Browser) -> None:
    text = alices.send("api-key-create", name="ci", scopes=["GetCluster"]).context["text"]
    entry = AuditEntry.objects.get()
    assert entry.object_id == ApiKey.objects.get().prefix
    assert text not in entry.detail
