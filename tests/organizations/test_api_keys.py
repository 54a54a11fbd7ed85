"""A key belongs to one organization, is stored only as a hash, and ends when it should."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from vbase_console.core.errors import InvalidArgument, Unauthenticated
from vbase_console.organizations.authentication import principal_of_key
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.scopes import ALL_SCOPES, GET_CLUSTER
from vbase_console.organizations.services import issue_api_key, revoke_api_key


def test_it_opens_its_organization_with_its_scopes(organization: Organization) -> None:
    _, text = issue_api_key(organization, name="ci", scopes=[GET_CLUSTER])
    principal = principal_of_key(text)
    assert principal.organization_id == organization.pk
    assert (principal.label, principal.scopes) == ("key:ci", {GET_CLUSTER})


def test_it_is_stored_only_as_a_hash(organization: Organization) -> None:
    key, text = issue_api_key(organization, name="ci", scopes=ALL_SCOPES)
    secret = text.partition(".")[2]
    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    assert not any(secret in str(value) for value in stored.values())


def test_its_primary_key_says_nothing_of_its_hash(organization: Organization) -> None:
    key, _ = issue_api_key(organization, name="ci", scopes=ALL_SCOPES)
    assert key.pk == key.prefix


@pytest.mark.parametrize("text", ["", ".", "nonsense", "prefix.secret", "\x00", "é.é"])
def test_it_refuses_what_is_no_key(organization: Organization, text: str) -> None:
    with pytest.raises(Unauthenticated):
        principal_of_key(text)


def test_it_refuses_a_key_whose_secret_differs(api_key: str) -> None:
    with pytest.raises(Unauthenticated):
        principal_of_key(api_key[:-1] + ("a" if api_key[-1] != "a" else "b"))


def test_it_refuses_a_revoked_key(organization: Organization) -> None:
    key, text = issue_api_key(organization, name="ci", scopes=ALL_SCOPES)
    revoke_api_key(key)
    with pytest.raises(Unauthenticated):
        principal_of_key(text)


def test_it_refuses_an_expired_key(organization: Organization) -> None:
    later = timezone.now() + timedelta(hours=1)
    key, text = issue_api_key(organization, name="ci", scopes=ALL_SCOPES, expires_at=later)
    assert principal_of_key(text).key_id == key.pk
    ApiKey.objects.filter(pk=key.pk).update(expiry_date=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        principal_of_key(text)


def test_it_notes_when_it_was_last_used(organization: Organization) -> None:
    key, text = issue_api_key(organization, name="ci", scopes=ALL_SCOPES)
    principal_of_key(text)
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_it_does_not_write_on_every_use(
    organization: Organization, django_assert_num_queries: object
) -> None:
    _, text = issue_api_key(organization, name="ci", scopes=ALL_SCOPES)
    principal_of_key(text)
    with django_assert_num_queries(1):  # type: ignore[operator]
        principal_of_key(text)


def test_it_cannot_be_issued_without_a_name_or_a_known_scope(organization: Organization) -> None:
    with pytest.raises(InvalidArgument) as refused:
        issue_api_key(organization, name=" ", scopes=["Everything"])
    assert set(refused.value.field_errors) == {"name", "scopes"}
    assert "CreateCluster" in refused.value.field_errors["scopes"][0]


def test_it_cannot_be_issued_without_any_scope(organization: Organization) -> None:
    with pytest.raises(InvalidArgument, match="at least one scope"):
        issue_api_key(organization, name="ci", scopes=[])


def test_it_cannot_be_issued_for_the_past(organization: Organization) -> None:
    with pytest.raises(InvalidArgument, match="in the future"):
        issue_api_key(organization, name="ci", scopes=ALL_SCOPES, expires_at=timezone.now())
