"""Resolve a credential (API key or session) to a principal."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import F
from django.utils import timezone

from vbase_console.core.errors import NotFound, Unauthenticated
from vbase_console.organizations.models import ApiKey, Membership
from vbase_console.organizations.scopes import SCOPES_OF_ROLE
from vbase_console.organizations.tenancy import Principal, Version, is_storable, only_row
from vbase_console.organizations.versions import is_settling

LAST_USED_RESOLUTION = timedelta(minutes=10)
"""Minimum age of `last_used_at` before an update, so that not every request writes a row."""


def principal_of_key(text: str) -> Principal:
    """Raises Unauthenticated if the key is wrong, revoked or expired."""
    prefix, _, _ = text.partition(".")
    keys = ApiKey.objects.filter(prefix=prefix, revoked=False)
    key = only_row(keys) if is_storable(prefix) else None
    if key is None or key.has_expired or not key.is_valid(text):
        raise Unauthenticated("The API key is wrong, revoked or expired. Send a valid key.")
    now = timezone.now()
    if key.last_used_at is None or abs(now - key.last_used_at) > LAST_USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return Principal(
        organization_id=key.organization_id,
        label=f"key:{key.name}",
        scopes=frozenset(key.scopes),
        key_id=key.pk,
    )


def principal_of_member(user: AbstractBaseUser | AnonymousUser, organization: str) -> Principal:
    """Raises NotFound if the user is not a member of the organization."""
    membership = None
    if user.is_authenticated and is_storable(organization):
        memberships = Membership.objects.select_related("organization").annotate(
            version=F("organization__version__number"),
            is_settling=is_settling("organization__version__"),
        )
        membership = only_row(memberships.filter(user=user.pk, organization__name=organization))
    if membership is None:
        raise NotFound("Organization not found.")
    return Principal(
        organization_id=membership.organization_id,
        organization_name=membership.organization.name,
        label=user.get_username(),
        scopes=SCOPES_OF_ROLE[membership.role],
        user_id=user.pk,
        is_demo=membership.organization.is_demo,
        version=Version(
            number=membership.version or 0,  # type: ignore[attr-defined]  # annotated
            is_settled=not membership.is_settling,  # type: ignore[attr-defined]
        ),
    )
