from __future__ import annotations

import pytest
from django.conf import settings
from django.shortcuts import resolve_url
from django.test import Client, RequestFactory

from tests.web.conftest import Browser
from vbase_console.core.errors import ConsoleError
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


def test_a_forbidden_page_leads_to_the_other_organizations(bobs: Browser) -> None:
    answer = bobs.open("membership-list")
    assert (answer.status_code, 'href="/organizations"' in answer.content.decode()) == (403, True)
