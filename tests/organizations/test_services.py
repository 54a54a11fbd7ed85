"""Organizations and their members: an organization has an owner at every moment."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from vbase_console.core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.services import (
    add_member,
    change_role,
    create_organization,
    get_or_create_user,
    invitation_obstacle,
    remove_member,
)


@pytest.fixture
def ownership(organization: Organization, alice: User) -> Membership:
    return Membership.objects.get(organization=organization, user=alice)


def test_whoever_creates_an_organization_owns_it(ownership: Membership) -> None:
    assert ownership.role == Role.OWNER


@pytest.mark.parametrize("name", ["", "Acme", "-acme", "a b", "a" * 64, "acme\n", "ä"])
def test_it_refuses_a_name_that_cannot_stand_in_an_address(alice: User, name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        create_organization(name=name, owner=alice)
    assert "name" in refused.value.field_errors


def test_it_refuses_a_name_that_is_taken(organization: Organization, charlie: User) -> None:
    with pytest.raises(AlreadyExists, match="Choose another"):
        create_organization(name=organization.name, owner=charlie)


def test_it_refuses_a_member_twice(organization: Organization, alice: User) -> None:
    with pytest.raises(AlreadyExists, match="already a member"):
        add_member(organization, user=alice, role=Role.VIEWER)


def test_the_last_owner_stays_owner(ownership: Membership) -> None:
    with pytest.raises(FailedPrecondition, match="must have an owner"):
        change_role(ownership, role=Role.ADMIN)


def test_the_last_owner_cannot_be_removed(ownership: Membership, bob: User) -> None:
    with pytest.raises(FailedPrecondition, match="must have an owner"):
        remove_member(ownership)


def test_an_owner_may_go_when_there_is_another(ownership: Membership, charlie: User) -> None:
    add_member(ownership.organization, user=charlie, role=Role.OWNER)
    remove_member(ownership)
    left = Membership.objects.get(organization=ownership.organization_id)
    assert left.user == charlie


def test_a_member_changes_role(organization: Organization, bob: User) -> None:
    membership = Membership.objects.get(organization=organization, user=bob)
    assert change_role(membership, role="operator").role == Role.OPERATOR


def test_a_person_is_one_however_the_address_is_written(db: None) -> None:
    assert get_or_create_user(email="New@Example.com ") == get_or_create_user(
        email="new@example.com"
    )


def test_a_person_made_without_a_password_cannot_sign_in(db: None) -> None:
    assert not get_or_create_user(email="new@example.com").has_usable_password()


def test_a_person_nobody_knew_may_be_given_a_link_to_choose_a_password(
    organization: Organization,
) -> None:
    user = get_or_create_user(email="new@example.com")
    add_member(organization, user=user, role=Role.VIEWER)
    assert not invitation_obstacle(user)


def test_nobody_gets_a_link_to_an_account_that_another_organization_added(
    organization: Organization, charlie: User
) -> None:
    user = get_or_create_user(email="new@example.com")
    add_member(organization, user=user, role=Role.ADMIN)
    add_member(Organization.objects.get(name="other"), user=user, role=Role.VIEWER)
    assert invitation_obstacle(user)


@pytest.mark.parametrize("rank", ["is_staff", "is_superuser"])
def test_nobody_gets_a_link_to_an_account_of_support(organization: Organization, rank: str) -> None:
    user = get_or_create_user(email="support@example.com")
    setattr(user, rank, True)
    user.save()
    add_member(organization, user=user, role=Role.VIEWER)
    assert invitation_obstacle(user)


def test_nobody_gets_a_link_to_an_account_that_has_a_password(
    organization: Organization, bob: User
) -> None:
    assert invitation_obstacle(bob)
