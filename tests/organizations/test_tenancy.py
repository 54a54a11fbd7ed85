"""One rule decides which rows a principal sees, on pages and in the API."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser, User

from clusters.models import Cluster
from vbase_console.core.errors import NotFound, PermissionDenied
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Organization
from vbase_console.organizations.scopes import DELETE_CLUSTER, MANAGE_ORGANIZATION
from vbase_console.organizations.services import add_member
from vbase_console.organizations.tenancy import Principal

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def stranger(charlie: User) -> Principal:
    return principal_of_member(charlie, "other")


def test_it_shows_an_organization_its_own_rows(
    make_cluster: MakeCluster, principal: Principal
) -> None:
    cluster = make_cluster()
    assert Cluster.objects.get_visible(principal, cluster_id=cluster.pk) == cluster


def test_it_shows_a_stranger_nothing(make_cluster: MakeCluster, stranger: Principal) -> None:
    make_cluster()
    assert not Cluster.objects.visible_to(stranger).exists()


def test_it_shows_nobody_nothing(make_cluster: MakeCluster) -> None:
    make_cluster()
    assert not Cluster.objects.visible_to(None).exists()


def test_it_answers_a_stranger_as_if_the_row_had_never_been(
    make_cluster: MakeCluster, stranger: Principal
) -> None:
    cluster = make_cluster()
    with pytest.raises(NotFound) as foreign:
        Cluster.objects.get_visible(stranger, cluster_id=cluster.pk)
    with pytest.raises(NotFound) as absent:
        Cluster.objects.get_visible(stranger, cluster_id="vc-never")
    assert str(foreign.value).replace(cluster.pk, "vc-never") == str(absent.value)


def test_nothing_is_found_by_a_name_that_no_database_could_hold(
    alice: User, principal: Principal
) -> None:
    with pytest.raises(NotFound):
        Cluster.objects.get_visible(principal, cluster_id="vc-\x00")
    with pytest.raises(NotFound):
        principal_of_member(alice, "acme\x00")


def test_a_person_acts_only_for_organizations_they_belong_to(
    organization: Organization, charlie: User
) -> None:
    for user in (charlie, AnonymousUser()):
        with pytest.raises(NotFound):
            principal_of_member(user, organization.name)


def test_a_person_in_two_organizations_acts_for_one_at_a_time(
    organization: Organization, charlie: User
) -> None:
    add_member(organization, user=charlie, role="viewer")
    assert principal_of_member(charlie, "acme").organization_id == organization.pk
    assert not principal_of_member(charlie, "acme").may(DELETE_CLUSTER)
    assert principal_of_member(charlie, "other").may(MANAGE_ORGANIZATION)


def test_a_key_without_the_scope_is_told_which_one(principal: Principal) -> None:
    poor = dataclasses.replace(principal, scopes=frozenset(), user_id=None, key_id="k")
    with pytest.raises(PermissionDenied, match="lacks the scope DeleteCluster"):
        poor.require(DELETE_CLUSTER)
