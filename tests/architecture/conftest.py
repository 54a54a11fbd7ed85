from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.architecture.cast import Cast, Visitor, make_tenant, with_key, with_session
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.scopes import ALL_SCOPES
from vbase_console.organizations.services import issue_api_key


def key_of(organization: Organization, *, scopes: bool) -> Client:
    key, text = issue_api_key(organization, name="walker", scopes=ALL_SCOPES)
    if not scopes:
        ApiKey.objects.filter(pk=key.pk).update(scopes=[])
    return with_key(text)


@pytest.fixture
def people(
    transactional_db: None,
    organization: Organization,
    alice: User,
    bob: User,
    charlie: User,
) -> Cast:
    other = Organization.objects.get(name="other")
    nobody = Client(raise_request_exception=False)
    visitors = {
        "owner": Visitor(key_of(organization, scopes=True), with_session(alice)),
        "viewer": Visitor(key_of(organization, scopes=False), with_session(bob)),
        "stranger": Visitor(key_of(other, scopes=True), with_session(charlie)),
        "nobody": Visitor(nobody, nobody),
    }
    mine = make_tenant(organization, alice)
    return Cast(mine=mine, theirs=make_tenant(other, charlie), visitors=visitors)
