from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from vbase_console.errors import ConsoleError
from vbase_console.pages.errors import STATUS_OF_CODE, server_error


def test_every_refusal_has_a_status() -> None:
    codes = {leaf.code for leaf in ConsoleError.__subclasses__()} - {"UNAUTHENTICATED"}
    assert codes == set(STATUS_OF_CODE)


@pytest.mark.django_db
def test_an_address_that_leads_nowhere_says_so(client: Client) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


def test_the_page_of_an_unforeseen_error_needs_nothing_that_may_be_broken() -> None:
    answer = server_error(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert b"Something went wrong here" in answer.content
