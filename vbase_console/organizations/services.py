"""What can be done with organizations, members and keys; one domain sentence each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from vbase_console.core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from vbase_console.organizations.models import ApiKey, Membership, Organization
from vbase_console.organizations.scopes import ALL_SCOPES, Role

RESET_HINT = "whoever runs this console sets one on its machine, with 'manage.py changepassword'."
"""How anybody gets a password who may have no link."""


@transaction.atomic
def create_organization(*, name: str, owner: User) -> Organization:
    organization = Organization(name=name)
    try:
        organization.full_clean(validate_unique=False)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"name": error.message_dict["name"]}) from error
    _insert(organization, f"An organization named '{name}' exists already; choose another name.")
    Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    return organization


def person(*, email: str, password: str | None = None) -> User:
    """The person who signs in with this address; made without a usable password where there is
    none yet.
    """
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
    _insert(membership, f"{user} is a member already; change the role instead.")
    return membership


@transaction.atomic
def change_role(membership: Membership, *, role: str) -> Membership:
    """The last owner stays owner: an organization without one could never be managed again."""
    _keep_an_owner(membership, role)
    membership.role = Role(role)
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(membership: Membership) -> None:
    _keep_an_owner(membership, None)
    membership.delete()


def why_no_link(user: User) -> str:
    """Why an owner who added this person may not hand them a link that sets the password; empty
    where nothing speaks against it.

    Never for support staff, nor for whoever another organization added, too: with the password
    comes everything that the account may do there.
    """
    if user.has_usable_password():
        return (
            f"{user} has a password already, and no link replaces it. If it is lost, {RESET_HINT}"
        )
    if user.is_staff or user.is_superuser or Membership.objects.filter(user=user).count() > 1:
        return f"{user} acts for others, too, and no link of yours opens that account; {RESET_HINT}"
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
    """The row and the key itself, which is nowhere kept and cannot be shown again."""
    chosen = list(dict.fromkeys(scopes))
    _check_key(name, chosen, expires_at)
    key, text = ApiKey.objects.create_key(
        organization=organization,
        name=name,
        scopes=chosen,
        expiry_date=expires_at,
        created_by=created_by,
    )
    return key, text


@transaction.atomic
def revoke_api_key(key: ApiKey) -> ApiKey:
    key.revoked = True
    key.save(update_fields=["revoked"])
    return key


def _check_key(name: str, scopes: list[str], expires_at: datetime | None) -> None:
    errors: dict[str, list[str]] = {}
    unknown = sorted(set(scopes) - set(ALL_SCOPES))
    if not name.strip() or len(name) > 50:
        errors["name"] = ["Give the key a name of 1 to 50 characters."]
    if unknown:
        errors["scopes"] = [f"Unknown: {', '.join(unknown)}. There are: {', '.join(ALL_SCOPES)}."]
    elif not scopes:
        errors["scopes"] = ["Choose at least one scope."]
    if expires_at is not None and expires_at <= timezone.now():
        errors["expires_at"] = ["The expiry must lie in the future."]
    if errors:
        raise InvalidArgument(field_errors=errors)


def _keep_an_owner(membership: Membership, role: str | None) -> None:
    others = Membership.objects.select_for_update().filter(
        organization_id=membership.organization_id, role=Role.OWNER
    )
    if role != Role.OWNER and not [row for row in others if row.pk != membership.pk]:
        raise FailedPrecondition("An organization needs an owner; make somebody else owner first.")


def _insert(row: Organization | Membership, taken: str) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyExists(taken) from error
