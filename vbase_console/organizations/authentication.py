"""Resolve a credential (API key or session) to a principal."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from vbase_console.core.errors import NotFound, Unauthenticated
from vbase_console.core.prepared import Prepared
from vbase_console.organizations.models import ApiKey, Membership
from vbase_console.organizations.scopes import SCOPES_OF_ROLE, Role
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
    if user.is_authenticated and is_storable(organization):
        for password, *membership in MEMBERSHIP.rows(user.pk, organization):
            return _member(user.pk, _session_hash(password), *membership)
    raise NotFound("Organization not found.")


def principal_of_session(session_key: str, organization: str) -> Principal | None:
    """Resolve a session in two prepared statements, with the checks of Django's middleware.

    Returns None if anything differs from a session in use: the usual way then decides and answers.
    """
    if not (is_storable(session_key) and is_storable(organization)):
        return None
    for (session_data,) in SESSION.rows(session_key):
        session = SessionStore().decode(session_data)
        user_id, backend = session.get(SESSION_KEY, ""), session.get(BACKEND_SESSION_KEY)
        if not user_id.isdecimal() or backend not in settings.AUTHENTICATION_BACKENDS:
            return None
        for password, *membership in MEMBERSHIP.rows(int(user_id), organization):
            expected = _session_hash(password)
            if constant_time_compare(session.get(HASH_SESSION_KEY, ""), expected):
                return _member(int(user_id), expected, *membership)
    return None


def _session_hash(password: str) -> str:
    return User(password=password).get_session_auth_hash()


def _session(session_key: str) -> QuerySet[Session, tuple[Any, ...]]:
    in_use = Session.objects.filter(session_key=session_key, expire_date__gt=Now())
    return in_use.values_list("session_data")


def _membership(user_id: int, organization: str) -> QuerySet[Membership, tuple[Any, ...]]:
    memberships = Membership.objects.filter(
        user=user_id, user__is_active=True, organization__name=organization
    )
    return memberships.order_by().values_list(
        "user__password",
        "user__username",
        "role",
        "organization",
        "organization__name",
        "organization__is_demo",
        "organization__version__number",
        is_settling("organization__version__"),
    )


SESSION = Prepared(_session, "<session key>")
MEMBERSHIP = Prepared(_membership, -1, "<organization>")


def _member(
    user_id: int,
    session_hash: str,
    username: str,
    role: Role,
    organization_id: object,
    organization_name: str,
    is_demo: bool,
    version: int | None,
    settles: bool | None,
) -> Principal:
    return Principal(
        organization_id=uuid.UUID(str(organization_id)),
        organization_name=organization_name,
        label=username,
        scopes=SCOPES_OF_ROLE[role],
        user_id=user_id,
        is_demo=bool(is_demo),
        session_hash=session_hash,
        version=Version(number=version or 0, is_settled=not settles),
    )
