from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.api.client import Api
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.scopes import GET_CLUSTER, LIST_SERVICES

pytestmark = pytest.mark.django_db


def test_a_key_tells_who_it_is(api: Api, organization: Organization) -> None:
    said = api.get("/me")
    assert said["organizationId"] == str(organization.pk)
    assert said["keyName"] == "ci"
    assert len(said["scopes"]) == 14


def test_nobody_is_told_how_to_come_in(without_key: Api) -> None:
    said = without_key.get("/me")
    assert (said.status, said.code) == (401, "UNAUTHENTICATED")
    assert (said.header("WWW-Authenticate") or "").startswith("Bearer")
    assert "Authorization: Bearer" in said.body["response"]["message"]


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer nonsense", "Bearer a.b", "Basic eDp5", "Bearer \xff", "b\0.c"],
)
def test_what_is_no_key_is_refused(organization: Organization, header: str) -> None:
    said = Api(None).send("GET", "/me", Authorization=header)
    assert (said.status, said.code) == (401, "UNAUTHENTICATED")


def test_the_scheme_may_be_spelled_as_one_likes(api_key: str) -> None:
    assert Api(None).send("GET", "/me", Authorization=f"bearer {api_key}").status == 200


def test_a_revoked_key_opens_nothing(api: Api) -> None:
    ApiKey.objects.update(revoked=True)
    assert api.get("/me").status == 401


def test_an_expired_key_opens_nothing(api: Api) -> None:
    ApiKey.objects.update(expiry_date=timezone.now() - timedelta(seconds=1))
    assert api.get("/me").status == 401


def test_a_key_without_the_scope_is_told_which_one(
    key_with: Callable[..., Api], organization: Organization
) -> None:
    said = key_with(GET_CLUSTER).get(f"/list/{organization.pk}")
    assert (said.status, said.code) == (403, "PERMISSION_DENIED")
    assert LIST_SERVICES in said.body["response"]["message"]


def test_a_session_opens_no_api(organization: Organization, without_key: Api) -> None:
    without_key.client.force_login(organization.members.get())
    assert without_key.get("/me").status == 401
