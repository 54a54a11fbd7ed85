from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.shortcuts import resolve_url
from django.test import Client, RequestFactory

from tests.web.conftest import Browser
from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.models import Organization
from vbase_console.web.errors import STATUS_OF_CODE, no_database, server_error


def test_every_refusal_has_a_status() -> None:
    codes = {leaf.code for leaf in ConsoleError.__subclasses__()} - {"UNAUTHENTICATED"}
    assert codes == set(STATUS_OF_CODE)


@pytest.mark.django_db
def test_an_address_that_leads_nowhere_says_so(client: Client) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert b"Page not found" in answer.content


def test_the_page_of_an_unforeseen_error_needs_nothing_that_may_be_broken() -> None:
    answer = server_error(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert b"Internal error" in answer.content


def test_a_missing_database_is_no_internal_error() -> None:
    answer = no_database(RequestFactory().get("/"))
    assert answer.status_code == 503
    assert b"Temporarily not available" in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("is_csrf_checked", [True, False])
def test_a_form_with_more_fields_than_are_taken_gets_an_answer_in_words(
    is_csrf_checked: bool,
) -> None:
    """The check of the form's secret reads the fields first; without it, the view does."""
    client, page = Client(enforce_csrf_checks=is_csrf_checked), resolve_url(settings.LOGIN_URL)
    client.get(page)
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    answer = client.post(page, {f"field{number}": "x" for number in range(most + 1)})
    assert answer.status_code == 400
    assert b"Select fewer items or use the option for all of them." in answer.content


def test_a_form_that_is_too_large_gets_an_answer_in_words(client: Client) -> None:
    body = b"name=" + b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    answer = client.post(
        resolve_url(settings.LOGIN_URL), body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 400
    assert b"The form is larger than 1 MB." in answer.content


def test_the_page_of_a_host_that_is_not_allowed_names_the_setting(client: Client) -> None:
    answer = client.get("/", headers={"Host": "console.example.com"})
    assert answer.status_code == 400
    assert b"VBASE_ALLOWED_HOSTS" in answer.content


def test_a_forbidden_page_leads_to_the_other_organizations(bobs: Browser) -> None:
    answer = bobs.open("membership-list")
    assert (answer.status_code, 'href="/organizations"' in answer.content.decode()) == (403, True)


NAVIGATION = '<nav aria-label="Console">'


@pytest.mark.parametrize(
    ("path", "status", "way_back"),
    [
        ("clusters/vc-0123456789abcdef", 404, "/o/acme/clusters"),
        ("nowhere", 404, "/o/acme/"),
        ("members/1/role", 403, "/o/acme/"),
        ("clusters/vc-0123456789abcdef/restore", 404, "/o/acme/"),
    ],
)
def test_an_error_inside_an_organization_keeps_its_navigation(
    bobs: Browser, path: str, status: int, way_back: str
) -> None:
    answer = bobs.client.get(f"/o/acme/{path}")
    page = answer.content.decode()
    assert answer.status_code == status
    assert (NAVIGATION in page, f'Breadcrumbs"><a href="{way_back}"' in page) == (True, True)


@pytest.mark.parametrize("path", ["/o/acme/clusters", "/o/acme/nowhere", "/o/unknown/nowhere"])
def test_an_error_does_not_tell_a_stranger_about_an_organization(
    charlies: Browser, path: str
) -> None:
    pages = [charlies.client.get(path.replace("acme", name)) for name in ("acme", "unknown")]
    assert [page.status_code for page in pages] == [404, 404]
    assert len({page.content.replace(b"acme", b"unknown") for page in pages}) == 1
    assert NAVIGATION not in pages[0].content.decode()


def test_an_address_for_buttons_only_has_a_page(alices: Browser) -> None:
    answer = alices.client.get(alices.address("backup-download", "nightly"))
    page = answer.content.decode()
    assert answer.status_code == 405
    assert (NAVIGATION in page, "Only a button of another page leads to" in page) == (True, True)


def test_an_expired_form_keeps_the_navigation(alice: User, organization: Organization) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/o/acme/clusters/new")
    assert (answer.status_code, NAVIGATION in answer.content.decode()) == (403, True)


def test_an_organization_without_the_final_slash_leads_to_its_overview(alices: Browser) -> None:
    assert alices.client.get("/o/acme")["Location"] == "/o/acme/"
    assert alices.client.post("/o/acme").status_code == 405
