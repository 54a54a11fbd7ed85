from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from vbase_console.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
)
from vbase_console.organizations.differences import note
from vbase_console.organizations.models import ApiKey, Membership, Organization
from vbase_console.organizations.scopes import ALL_SCOPES, Role

MAX_OWNED_ORGANIZATIONS = 100
"""Limit of organizations that one user owns and creates on pages."""
RESET_HINT = "ask the operator of this console to set a new one with 'manage.py changepassword'."
"""Remedy for accounts that cannot get an invitation link."""


@transaction.atomic
def create_organization(*, name: str, owner: User) -> Organization:
    organization = Organization(name=name)
    try:
        organization.full_clean(validate_unique=False)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"name": error.message_dict["name"]}) from error
    _insert_unique(
        organization, f"An organization named '{name}' already exists. Choose another name."
    )
    Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    return organization


@transaction.atomic
def update_organization(organization: Organization, *, name: str, timezone: str) -> Organization:
    """Change the name, which is part of all page addresses, or the time zone of new policies."""
    organization = Organization.objects.select_for_update().get(pk=organization.pk)
    old = {"name": organization.name, "timezone": organization.timezone}
    note(old, {"name": name, "timezone": timezone})
    organization.name, organization.timezone = name, timezone
    if timezone not in available_timezones():
        text = f"'{timezone}' is no time zone. Use a name such as UTC or Europe/Berlin."
        raise InvalidArgument(field_errors={"timezone": [text]})
    try:
        organization.full_clean(validate_unique=False)
    except ValidationError as error:
        raise InvalidArgument(field_errors=error.message_dict) from error
    try:
        with transaction.atomic():
            organization.save(update_fields=["name", "timezone"])
    except IntegrityError as error:
        raise AlreadyExists(
            f"An organization named '{name}' already exists. Choose another name."
        ) from error
    return organization


def require_organization_creation(user: User) -> None:
    """Raise PermissionDenied or ResourceExhausted if a user may not create an organization."""
    if settings.ORGANIZATION_CREATION == "staff" and not user.is_staff:
        raise PermissionDenied(
            "Only support creates organizations on this console. Ask support for one."
        )
    owned = Membership.objects.filter(user=user, role=Role.OWNER).count()
    if owned >= MAX_OWNED_ORGANIZATIONS:
        raise ResourceExhausted(
            f"You own {owned} organizations already. Ask support for more.",
        )


def get_or_create_user(*, email: str, password: str | None = None) -> User:
    """Get or create the user with this e-mail. `password` is set for a new user only."""
    address = email.strip().lower()
    user, created = get_user_model().objects.get_or_create(
        username=address, defaults={"email": address}
    )
    if created:
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


@transaction.atomic
def add_member(organization: Organization, *, user: User, role: str) -> Membership:
    membership = Membership(organization=organization, user=user, role=Role(role))
    note({}, {"role": membership.role})
    _insert_unique(membership, f"{user} is already a member. Change the role instead.")
    return membership


@transaction.atomic
def change_role(membership: Membership, *, role: str) -> Membership:
    """Raises FailedPrecondition for the last owner, because only owners can assign owners."""
    _ensure_owner_remains(membership, role)
    note({"role": membership.role}, {"role": Role(role).value})
    membership.role = Role(role)
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(membership: Membership) -> None:
    _ensure_owner_remains(membership, None)
    note({"role": membership.role}, {"role": None})
    membership.delete()


def invitation_obstacle(user: User) -> str:
    """Return the reason why an owner cannot create an invitation link for this user, or "".

    Support staff and members of several organizations get no link, because the password also
    gives access outside the owner's organization.
    """
    if user.has_usable_password():
        return f"{user} already has a password. If it is lost, {RESET_HINT}"
    if user.is_staff or user.is_superuser or Membership.objects.filter(user=user).count() > 1:
        return (
            f"{user} also has access outside this organization, so you cannot create a link. "
            f"For a password, {RESET_HINT}"
        )
    return ""


@transaction.atomic
def issue_api_key(
    organization: Organization,
    *,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    created_by: str = "",
) -> tuple[ApiKey, str]:
    """Return the row and the key itself, which is not stored and cannot be shown again."""
    unique_scopes = list(dict.fromkeys(scopes))
    _validate_api_key(name, unique_scopes, expires_at)
    key, text = ApiKey.objects.create_key(
        organization=organization,
        name=name,
        scopes=unique_scopes,
        expiry_date=expires_at,
        created_by=created_by,
    )
    return key, text


@transaction.atomic
def revoke_api_key(key: ApiKey) -> ApiKey:
    note({"revoked": key.revoked}, {"revoked": True})
    key.revoked = True
    key.save(update_fields=["revoked"])
    return key


def _validate_api_key(name: str, scopes: list[str], expires_at: datetime | None) -> None:
    errors: dict[str, list[str]] = {}
    unknown = sorted(set(scopes) - set(ALL_SCOPES))
    if not name.strip() or len(name) > 50:
        errors["name"] = ["Use a name of 1 to 50 characters."]
    if unknown:
        errors["scopes"] = [
            f"Unknown scopes: {', '.join(unknown)}. Available: {', '.join(ALL_SCOPES)}."
        ]
    elif not scopes:
        errors["scopes"] = ["Choose at least one scope."]
    if expires_at is not None and expires_at <= timezone.now():
        errors["expires_at"] = ["Choose a time in the future."]
    if errors:
        raise InvalidArgument(field_errors=errors)


def _ensure_owner_remains(membership: Membership, new_role: str | None) -> None:
    owners = Membership.objects.select_for_update().filter(
        organization_id=membership.organization_id, role=Role.OWNER
    )
    if new_role != Role.OWNER and not [owner for owner in owners if owner.pk != membership.pk]:
        raise FailedPrecondition("An organization must have an owner. Assign another owner first.")


def _insert_unique(row: Organization | Membership, message: str) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyExists(message) from error
