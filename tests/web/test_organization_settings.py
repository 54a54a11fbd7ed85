"""Settings and creation of organizations, and the scopes of a new key."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry, Membership, Organization
from vbase_console.organizations.scopes import ALL_SCOPES, SCOPE_GROUPS, SCOPE_PRESETS
from vbase_console.organizations.services import create_organization

GIVEN = {"name": "acme", "timezone": "Europe/Berlin"}


def last_entry() -> tuple[str, str]:
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.outcome


def test_an_owner_changes_the_zone_and_new_policies_have_it(
    organization: Organization, make_cluster: Callable[..., Cluster], alices: Browser
) -> None:
    cluster = make_cluster()
    alices.send("organization-settings", **GIVEN)
    assert last_entry() == ("UpdateOrganization", "ACCEPTED")
    form = alices.open("policy-create", cluster.pk).context["form"]
    assert form["timezone"].value() == "Europe/Berlin"
    new = {"name": "new", "version": "2.1.0", "compute_units": "1", "replicas": "1"}
    alices.send("cluster-create", **new, protection="daily")
    assert BackupPolicy.objects.get().timezone == "Europe/Berlin"


def test_a_new_name_is_the_new_address(organization: Organization, alices: Browser) -> None:
    answer = alices.send("organization-settings", **GIVEN | {"name": "beta"})
    assert answer.url == "/o/beta/settings"
    assert alices.client.get(answer.url).status_code == 200
    assert alices.open("organization-settings").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"), [({"name": "Upper Case"}, "name"), ({"timezone": "Mars/Base"}, "timezone")]
)
def test_wrong_settings_are_refused_at_their_field(
    organization: Organization, alices: Browser, wrong: dict[str, str], field: str
) -> None:
    answer = alices.send("organization-settings", **GIVEN | wrong)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    organization.refresh_from_db()
    assert (organization.name, organization.timezone) == ("acme", "UTC")


def test_a_taken_name_is_refused(
    organization: Organization, alices: Browser, charlie: User
) -> None:
    create_organization(name="beta", owner=charlie)
    answer = alices.send("organization-settings", **GIVEN | {"name": "beta"})
    assert answer.status_code == 409


def test_only_owners_see_the_settings(organization: Organization, bobs: Browser) -> None:
    assert bobs.open("organization-settings").status_code == 403
    assert bobs.send("organization-settings", **GIVEN).status_code == 403


def test_a_user_creates_an_organization_and_owns_it(
    organization: Organization, bob: User, signed_in: Callable[[User], Client], settings: Any
) -> None:
    settings.ORGANIZATION_CREATION = "anyone"
    answer = signed_in(bob).post("/organizations/new", {"name": "gamma"})
    assert answer.url == "/o/gamma/"
    assert Membership.objects.get(organization__name="gamma").role == "owner"
    audited = AuditEntry.objects.filter(action="CreateOrganization", outcome="ACCEPTED")
    assert set(audited.values_list("organization__name", flat=True)) == {"acme", "gamma"}


def test_with_staff_only_others_are_refused(
    organization: Organization, alice: User, signed_in: Callable[[User], Client], settings: Any
) -> None:
    settings.ORGANIZATION_CREATION = "staff"
    client = signed_in(alice)
    assert client.get("/organizations/new").status_code == 403
    assert client.post("/organizations/new", {"name": "gamma"}).status_code == 403
    assert b"/organizations/new" not in client.get("/organizations").content
    assert not Organization.objects.filter(name="gamma").exists()
    assert last_entry() == ("CreateOrganization", "REFUSED")


def test_staff_may_create_one(
    organization: Organization, alice: User, signed_in: Callable[[User], Client], settings: Any
) -> None:
    settings.ORGANIZATION_CREATION = "staff"
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert signed_in(alice).post("/organizations/new", {"name": "gamma"}).status_code == 302


def test_a_taken_or_wrong_name_is_said_in_the_form(
    organization: Organization, alice: User, signed_in: Callable[[User], Client], settings: Any
) -> None:
    settings.ORGANIZATION_CREATION = "anyone"
    client = signed_in(alice)
    assert b"already exists" in client.post("/organizations/new", {"name": "acme"}).content
    assert client.post("/organizations/new", {"name": "No good"}).status_code == 422


def test_every_scope_is_in_one_group_with_a_sentence() -> None:
    grouped = [scope for effects in SCOPE_GROUPS.values() for scope in effects]
    assert sorted(grouped) == sorted(ALL_SCOPES)
    assert all(text.endswith(".") for group in SCOPE_GROUPS.values() for text in group.values())


@pytest.mark.parametrize("preset", SCOPE_PRESETS)
def test_a_preset_of_scopes_is_one_button(
    organization: Organization, alices: Browser, preset: str
) -> None:
    answer = alices.send("api-key-create", name="ci", tick=preset)
    boxes = re.findall(r'name="scopes" value="(\w+)"[^>]* checked', answer.content.decode())
    assert set(boxes) == SCOPE_PRESETS[preset][1]
    assert 'value="ci"' in answer.content.decode()


def test_each_scope_has_its_sentence_on_the_page(
    organization: Organization, alices: Browser
) -> None:
    content = alices.open("api-key-create").content.decode()
    assert "Read endpoint and token. With the token all data can be read and changed." in content
    assert "<legend>Policies</legend>" in content
