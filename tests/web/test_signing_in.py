from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, make_user
from tests.web.conftest import HTMX, Browser
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import create_organization

WEAK = pytest.mark.parametrize(
    ("password", "why"), [("k7xvQ2zLp9w", b"too short"), ("qwertyuiop123", b"too common")]
)


def sign_in(client: Client, username: str, password: str = PASSWORD, **extra: str):  # type: ignore[no-untyped-def]
    return client.post("/sign-in", {"username": username, "password": password, **extra})


def test_it_takes_the_address_however_it_is_written(
    client: Client, organization: Organization
) -> None:
    answer = sign_in(client, " Alice@Example.COM ")
    assert (answer.status_code, answer.url) == (302, "/")


def test_it_says_so_where_the_password_is_wrong(client: Client, alice: User) -> None:
    answer = sign_in(client, "alice@example.com", "wrong")
    assert answer.status_code == 422
    assert b"Wrong e-mail or password" in answer.content


def test_it_locks_the_door_after_ten_wrong_passwords(client: Client, alice: User) -> None:
    for _ in range(10):
        answer = sign_in(client, "alice@example.com", "wrong")
    assert answer.status_code == 429
    assert b"in 15 minutes" in answer.content
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert sign_in(client, "ALICE@example.com").status_code == 429


def test_it_locks_nobody_else_out(client: Client, alice: User, bob: User) -> None:
    for _ in range(10):
        sign_in(client, "alice@example.com", "wrong")
    assert sign_in(client, "bob@example.com").status_code == 302


def test_it_locks_nobody_out_from_elsewhere(client: Client, alice: User) -> None:
    elsewhere = Client(REMOTE_ADDR="192.0.2.1")
    for _ in range(10):
        sign_in(elsewhere, "alice@example.com", "wrong")
    assert sign_in(client, "alice@example.com").status_code == 302


def spray(client: Client, accounts: int = 30, address: str = "/sign-in") -> None:
    """One wrong password for many accounts."""
    for number in range(accounts):
        client.post(address, {"username": f"p{number}@example.com", "password": "wrong"})


def test_it_locks_an_address_that_sprays_one_password(client: Client, alice: User) -> None:
    spray(client)
    answer = sign_in(client, "alice@example.com")
    assert answer.status_code == 429
    assert b"in 15 minutes" in answer.content


def test_an_address_may_fail_less_often_than_that(client: Client, alice: User) -> None:
    spray(client, 29)
    assert sign_in(client, "alice@example.com").status_code == 302


def test_a_locked_address_is_locked_in_the_admin_as_well(client: Client, sam: User) -> None:
    spray(client, address="/admin/login/")
    given = {"username": "sam@example.com", "password": PASSWORD}
    assert client.post("/admin/login/", given).status_code == 429


def test_a_locked_address_locks_no_other_one(client: Client, alice: User) -> None:
    spray(Client(REMOTE_ADDR="192.0.2.1"))
    assert sign_in(client, "alice@example.com").status_code == 302


def test_a_network_of_ipv6_is_one_address(alice: User) -> None:
    for number in range(30):
        sign_in(Client(REMOTE_ADDR=f"2001:db8::{number + 1:x}"), f"p{number}@example.com", "wrong")
    neighbour, other = Client(REMOTE_ADDR="2001:db8::ffff"), Client(REMOTE_ADDR="2001:db8:0:1::1")
    statuses = [sign_in(each, "alice@example.com").status_code for each in (neighbour, other)]
    assert statuses == [429, 302]


def test_a_locked_address_keeps_those_who_are_signed_in(alices: Browser) -> None:
    spray(Client())
    assert alices.open("overview").status_code == 200


def test_tries_while_it_is_locked_do_not_prolong_a_lock(client: Client, alice: User) -> None:
    spray(client)
    before = list(AccessAttempt.objects.order_by("pk").values_list("pk", "attempt_time"))
    spray(client)
    assert list(AccessAttempt.objects.order_by("pk").values_list("pk", "attempt_time")) == before


def test_a_success_does_not_forget_the_failures_for_other_accounts(
    client: Client, alice: User
) -> None:
    spray(Client(), 29)
    sign_in(client, "alice@example.com")
    spray(Client(), 1)
    assert sign_in(Client(), "alice@example.com").status_code == 429


@pytest.mark.parametrize(("minutes", "status"), [(14, 429), (16, 302)])
def test_the_door_opens_again_after_a_quarter_of_an_hour(
    client: Client, alice: User, minutes: int, status: int
) -> None:
    for _ in range(10):
        sign_in(client, "alice@example.com", "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=minutes))
    assert sign_in(client, "alice@example.com").status_code == status


def test_the_session_goes_with_no_form_of_another_site_and_to_no_script(
    client: Client, alice: User
) -> None:
    sign_in(client, "alice@example.com")
    cookie = client.cookies["sessionid"]
    assert (cookie["samesite"], cookie["httponly"]) == ("Lax", True)


def test_it_goes_back_to_the_page_that_was_asked_for(
    client: Client, organization: Organization
) -> None:
    asked = client.get("/o/acme/clusters?q=x")
    assert asked.url == "/sign-in?next=/o/acme/clusters%3Fq%3Dx"
    assert sign_in(client, "alice@example.com", next="/o/acme/clusters?q=x").url.endswith("?q=x")


def test_it_goes_nowhere_outside(client: Client, alice: User) -> None:
    assert sign_in(client, "alice@example.com", next="https://elsewhere.example/").url == "/"


def test_it_leads_a_polling_page_of_somebody_signed_out_to_the_sign_in(
    client: Client, organization: Organization
) -> None:
    answer = client.get("/o/acme/", headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/sign-in"


def test_it_signs_out_by_post_only(alices: Browser) -> None:
    assert alices.client.get("/sign-out").status_code == 405
    assert alices.client.post("/sign-out").url == "/sign-in"
    assert alices.open("overview").status_code == 302


def test_home_is_the_only_organization(alices: Browser) -> None:
    assert alices.client.get("/").url == "/o/acme/"


def test_home_is_the_organization_looked_at_last(alices: Browser, alice: User) -> None:
    create_organization(name="beta", owner=alice)
    assert alices.client.get("/").url == "/organizations"
    alices.client.get("/o/beta/")
    assert alices.client.get("/").url == "/o/beta/"


@pytest.mark.django_db
def test_whoever_belongs_nowhere_is_told_what_to_do(client: Client) -> None:
    client.force_login(make_user("dora"))
    assert client.get("/").url == "/organizations"
    assert b"ask an owner to add dora" in client.get("/organizations").content


def test_the_switch_lists_only_the_organizations_of_the_person(
    alices: Browser, alice: User, charlie: User
) -> None:
    create_organization(name="beta", owner=alice)
    content = alices.open("overview").content.decode()
    assert 'href="/o/beta/"' in content
    assert 'href="/o/other/"' not in content


def test_a_password_can_be_changed(alices: Browser) -> None:
    new = "an even longer password"
    given = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert alices.client.post("/password", given).url == "/"
    assert sign_in(Client(), "alice@example.com", new).status_code == 302


@WEAK
def test_a_weak_password_is_refused(alices: Browser, password: str, why: bytes) -> None:
    given = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    assert why in alices.client.post("/password", given).content


@WEAK
def test_a_weak_first_password_is_refused(alices: Browser, password: str, why: bytes) -> None:
    answer = alices.send("membership-create", email="dora@example.com", role="viewer")
    newcomer = Client()
    form = newcomer.get(answer.context["link"]).url
    given = {"new_password1": password, "new_password2": password}
    assert why in newcomer.post(form, given).content


def test_the_appearance_is_remembered_without_a_script(alices: Browser) -> None:
    answer = alices.client.post("/appearance", {"appearance": "dark", "next": "/o/acme/"})
    assert answer.url == "/o/acme/"
    assert b'data-appearance="dark"' in alices.open("overview").content


def test_the_appearance_leads_nowhere_outside(alices: Browser) -> None:
    given = {"appearance": "dark", "next": "//elsewhere.example/"}
    assert alices.client.post("/appearance", given).url == "/"


def test_a_form_from_before_the_sign_in_says_what_to_do(alice: User) -> None:
    answer = sign_in(Client(enforce_csrf_checks=True), "alice@example.com")
    assert answer.status_code == 403
    assert b"This form has expired" in answer.content
