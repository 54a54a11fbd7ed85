"""People at their browsers: each opens and sends pages of Alice's organization by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

HTMX = {"HX-Request": "true"}


class Browser:
    """A signed-in person; `open` and `send` take a page's name and the keys in its address."""

    def __init__(self, client: Client, organization: str = "acme") -> None:
        self.client = client
        self.organization = organization

    def open(self, name: str, /, *keys: Any, htmx: bool = False, **query: Any) -> Any:
        return self.client.get(self.address(name, *keys), query, headers=HTMX if htmx else {})

    def send(self, name: str, /, *keys: Any, htmx: bool = False, **form: Any) -> Any:
        return self.client.post(self.address(name, *keys), form, headers=HTMX if htmx else {})

    def address(self, name: str, /, *keys: Any) -> str:
        return reverse(name, args=[self.organization, *keys])


@pytest.fixture
def browser_of(
    signed_in: Callable[[User], Client], organization: object
) -> Callable[[User], Browser]:
    return lambda user: Browser(signed_in(user))


@pytest.fixture
def alices(alice: User, browser_of: Callable[[User], Browser]) -> Browser:
    return browser_of(alice)


@pytest.fixture
def bobs(bob: User, browser_of: Callable[[User], Browser]) -> Browser:
    return browser_of(bob)


@pytest.fixture
def olgas(olga: User, browser_of: Callable[[User], Browser]) -> Browser:
    return browser_of(olga)


@pytest.fixture
def charlies(charlie: User, browser_of: Callable[[User], Browser]) -> Browser:
    return browser_of(charlie)
