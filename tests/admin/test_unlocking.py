"""Support unlocks a sign-in that wrong passwords locked, and the organizations concerned see it."""

from __future__ import annotations

from axes.models import AccessAttempt
from django.test import Client

from tests.conftest import PASSWORD
from vbase_console.organizations.models import AuditEntry, Organization

ALICE = "alice@example.com"


def attempt(username: str = ALICE, address: str = "127.0.0.1", agent: str = "a") -> AccessAttempt:
    return AccessAttempt.objects.create(
        username=username, ip_address=address, user_agent=agent, failures_since_start=10
    )


def unlock(client: Client, chosen: AccessAttempt) -> str:
    form = {"action": "unlock", "_selected_action": [str(chosen.pk)]}
    return client.post("/admin/axes/accessattempt/", form, follow=True).content.decode()


def test_it_opens_the_door_again(support: Client, organization: Organization) -> None:
    said = unlock(support, attempt())
    assert f"{ALICE} can sign in from 127.0.0.1." in said
    assert Client().post("/sign-in", {"username": ALICE, "password": PASSWORD}).status_code == 302


def test_it_counts_no_other_browser_of_the_same_address_any_more(
    support: Client, organization: Organization
) -> None:
    attempt(agent="another")
    elsewhere = attempt(address="192.0.2.1")
    unlock(support, attempt())
    assert AccessAttempt.objects.get() == elsewhere


def test_it_unlocks_a_whole_address(support: Client, organization: Organization) -> None:
    chosen, elsewhere = attempt("p0@example.com"), attempt(address="192.0.2.1")
    attempt()
    form = {"action": "unlock_address", "_selected_action": [str(chosen.pk)]}
    said = support.post("/admin/axes/accessattempt/", form, follow=True).content.decode()
    assert "every account can sign in from 127.0.0.1." in said
    assert AccessAttempt.objects.get() == elsewhere
    assert AuditEntry.objects.get().object_id == ALICE


def test_it_leaves_a_row_for_each_organization(support: Client, organization: Organization) -> None:
    attempt(agent="another")
    unlock(support, attempt())
    row = AuditEntry.objects.get()
    assert (row.principal, row.action) == ("support:sam@example.com", "UnlockSignIn")
    assert (row.object_id, row.detail, row.interface) == (ALICE, "from 127.0.0.1", "ADMIN")


def test_it_deletes_nothing_otherwise(support: Client) -> None:
    chosen = attempt()
    support.post(f"/admin/axes/accessattempt/{chosen.pk}/delete/", {"post": "yes"})
    form = {"action": "delete_selected", "_selected_action": [str(chosen.pk)], "post": "yes"}
    support.post("/admin/axes/accessattempt/", form)
    assert AccessAttempt.objects.get() == chosen


def test_it_shows_nothing_of_what_was_sent(support: Client) -> None:
    chosen = attempt()
    AccessAttempt.objects.update(post_data="password of elsewhere", get_data="of elsewhere")
    page = support.get(f"/admin/axes/accessattempt/{chosen.pk}/change/").content.decode()
    assert ALICE in page
    assert "of elsewhere" not in page


def test_who_may_only_look_opens_nothing(onlooker: Client) -> None:
    chosen = attempt()
    unlock(onlooker, chosen)
    assert AccessAttempt.objects.get() == chosen
