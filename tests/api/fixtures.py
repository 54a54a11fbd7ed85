"""Callers: Alice's key, a stranger's, one with few scopes, and a client without a key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.api.client import Api
from vbase_console.organizations.models import Organization
from vbase_console.organizations.scopes import ALL_SCOPES
from vbase_console.organizations.services import issue_api_key


@pytest.fixture
def api(api_key: str) -> Api:
    return Api(api_key)


@pytest.fixture
def stranger(charlie: User) -> Api:
    other = Organization.objects.get(name="other")
    return Api(issue_api_key(other, name="charlie", scopes=ALL_SCOPES)[1])


@pytest.fixture
def key_with(organization: Organization) -> Callable[..., Api]:
    def key_with(*scopes: str) -> Api:
        return Api(issue_api_key(organization, name="few", scopes=scopes)[1])

    return key_with


@pytest.fixture
def without_key() -> Api:
    """Calls without a key."""
    return Api(None)
