"""Lists of people, keys, tasks and history: what they find, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from clusters import services
from clusters.models import Cluster
from tests.conftest import make_user
from tests.web.conftest import Browser
from vbase_console.organizations.audit import Interface, record
from vbase_console.organizations.models import ApiKey, Membership, Organization
from vbase_console.organizations.services import (
    add_member,
    issue_api_key,
    revoke_api_key,
)
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]


def rows(answer: Any, name: str) -> list[Any]:
    """One field of each row that a page lists."""
    return [getattr(row, name) for row in answer.context["rows"]]


def people(answer: Any) -> list[str]:
    return [str(row.user).partition("@")[0] for row in answer.context["rows"]]


def keys(browser: Browser, **query: str) -> list[str]:
    return rows(browser.open("api-key-list", **query), "name")


@pytest.fixture
def some_keys(organization: Organization) -> dict[str, ApiKey]:
    names = ("ci", "old", "stolen")
    made = {
        name: issue_api_key(organization, name=name, scopes=["GetCluster"])[0] for name in names
    }
    ApiKey.objects.filter(name="old").update(expiry_date=timezone.now() - timedelta(days=1))
    ApiKey.objects.filter(name="ci").update(last_used_at=timezone.now())
    revoke_api_key(made["stolen"])
    return made


def test_members_are_found_by_address_and_role(alices: Browser, bob: User, olga: User) -> None:
    assert people(alices.open("membership-list")) == ["alice", "bob", "olga"]
    assert people(alices.open("membership-list", q="OLG")) == ["olga"]
    assert people(alices.open("membership-list", role="viewer")) == ["bob"]


def test_members_are_sorted(alices: Browser, bob: User, olga: User) -> None:
    assert people(alices.open("membership-list", sort="-user__username")) == [
        "olga",
        "bob",
        "alice",
    ]
    assert people(alices.open("membership-list", sort="role")) == ["olga", "alice", "bob"]


@pytest.mark.parametrize("sort", ["user__last_login", "-user__last_login"])
def test_who_never_signed_in_stands_last(alices: Browser, bob: User, sort: str) -> None:
    assert people(alices.open("membership-list", sort=sort)) == ["alice", "bob"]


def test_a_thousand_members_are_paged(alices: Browser, organization: Organization) -> None:
    users = User.objects.bulk_create(User(username=f"u{n:04}") for n in range(1_000))
    Membership.objects.bulk_create(
        Membership(organization=organization, user=user, role="viewer") for user in users
    )
    assert people(alices.open("membership-list", page="2"))[0] == "u0049"


def test_keys_are_found_by_name_beginning_and_state(
    alices: Browser, some_keys: dict[str, ApiKey]
) -> None:
    assert keys(alices, q="STOL") == ["stolen"]
    assert keys(alices, q=some_keys["old"].prefix[:5]) == ["old"]
    assert [keys(alices, state=state) for state in ("open", "expired", "revoked")] == [
        ["ci"],
        ["old"],
        ["stolen"],
    ]


def test_keys_are_sorted_and_revoked_ones_stand_last_unasked(
    alices: Browser, some_keys: dict[str, ApiKey]
) -> None:
    assert keys(alices) == ["old", "ci", "stolen"]
    assert keys(alices, sort="-name") == ["stolen", "old", "ci"]
    assert keys(alices, sort="last_used_at")[0] == "ci"


def test_tasks_are_found_by_their_id_their_clusters_and_who_asked(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    one, other = make_cluster("one"), make_cluster("other")
    task = services.restart_cluster(one, by="key:nightly")
    assert rows(alices.open("operation-list", q=task.task_id), "pk") == [task.pk]
    assert rows(alices.open("operation-list", q="nightly"), "pk") == [task.pk]
    assert rows(alices.open("operation-list", q=other.cluster_id), "subject_id") == [
        other.cluster_id
    ]


def test_tasks_are_sorted(make_cluster: MakeCluster, alices: Browser) -> None:
    services.restart_cluster(make_cluster(), by="alice")
    assert rows(alices.open("operation-list"), "kind") == ["RESTART", "DEPLOYMENT"]
    assert rows(alices.open("operation-list", sort="pk"), "kind") == ["DEPLOYMENT", "RESTART"]
    assert rows(alices.open("operation-list", sort="-kind"), "kind") == ["RESTART", "DEPLOYMENT"]
    assert rows(alices.open("operation-list", sort="arguments"), "pk")[0] == Task.objects.first().pk  # type: ignore[union-attr]


def test_history_is_sorted(alices: Browser, organization: Organization) -> None:
    for who in ("b", "a", "c"):
        record(
            organization_id=organization.pk,
            principal=who,
            action="Act",
            object_id="",
            source=None,
            interface=Interface.API,
        )
    assert rows(alices.open("activity-list"), "principal") == ["c", "a", "b"]
    assert rows(alices.open("activity-list", sort="principal"), "principal") == ["a", "b", "c"]


def test_what_was_done_by_a_command_can_be_picked_out(
    alices: Browser, organization: Organization
) -> None:
    assert rows(alices.open("activity-list", interface="COMMAND"), "action") == []
    assert b"Console command" in alices.open("activity-list").content


@pytest.fixture
def many(alices: Browser, alice: User) -> Browser:
    """Alice, who belongs to sixty organizations more."""
    organizations = Organization.objects.bulk_create(
        Organization(name=f"team-{n:02}") for n in range(60)
    )
    Membership.objects.bulk_create(
        Membership(organization=each, user=alice, role="viewer") for each in organizations
    )
    return alices


def organizations(browser: Browser, **query: str) -> list[str]:
    answer = browser.client.get("/organizations", query)
    return [row.organization.name for row in answer.context["rows"]]


def test_organizations_are_paged(many: Browser) -> None:
    assert len(organizations(many)) == 50
    assert organizations(many, page="2")[-1] == "team-59"


def test_organizations_are_found_and_sorted(many: Browser) -> None:
    add_member(Organization.objects.get(name="team-07"), user=make_user("bea"), role="viewer")
    assert organizations(many, q="M-07") == ["team-07"]
    assert organizations(many, sort="role")[0] == "acme"
    assert organizations(many, sort="-members")[0] == "team-07"


def test_organizations_of_others_are_not_found(alices: Browser, charlie: User) -> None:
    assert organizations(alices, q="other") == []


def test_an_order_alone_is_no_search(alices: Browser) -> None:
    assert b"No cluster matches" not in alices.open("cluster-list", sort="name").content
    assert b"Create the first cluster" in alices.open("cluster-list", sort="name").content
