"""A visit: support staff read an organization's pages for an hour and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters.models import Cluster
from tests.conftest import make_user
from vbase_console.organizations import visits
from vbase_console.organizations.models import AuditEntry, Organization

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def visitor(support: Client, organization: Organization) -> Client:
    answer = support.post(reverse("admin-visit", args=[organization.pk]), {"reason": "Ticket 4711"})
    assert answer.status_code == 302
    return support


def test_a_visit_shows_the_pages_with_a_banner(visitor: Client, make_cluster: MakeCluster) -> None:
    make_cluster(name="shop-vectors")
    content = visitor.get("/o/acme/clusters").content.decode()
    assert "shop-vectors" in content
    assert "Support visit." in content
    assert "Create a cluster" not in content


def test_the_organization_sees_the_visit_and_its_reason(visitor: Client) -> None:
    entry = AuditEntry.objects.get(action="VisitOrganization")
    assert (entry.principal, entry.detail, entry.interface) == (
        "support:sam@example.com",
        "Ticket 4711",
        "ADMIN",
    )


def test_a_visit_needs_a_reason(support: Client, organization: Organization) -> None:
    support.post(reverse("admin-visit", args=[organization.pk]), {"reason": " "})
    assert support.get("/o/acme/clusters").status_code == 404


def test_without_a_visit_the_pages_are_not_found(
    support: Client, organization: Organization
) -> None:
    assert support.get("/o/acme/clusters").status_code == 404


def test_a_visit_ends_after_an_hour(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    later = timezone.now() + visits.DURATION + timedelta(seconds=1)
    monkeypatch.setattr(visits.timezone, "now", lambda: later)
    answer = visitor.get("/o/acme/clusters")
    assert answer.status_code == 404
    assert "Your support visit has ended." in answer.content.decode()


def test_a_visit_ends_with_its_button(visitor: Client) -> None:
    visitor.post(reverse("admin-visit-end"))
    assert visitor.get("/o/acme/clusters").status_code == 404


def test_the_organization_sees_the_end_of_a_visit(visitor: Client) -> None:
    visitor.post(reverse("admin-visit-end"))
    visitor.post(reverse("admin-visit-end"))
    entry = AuditEntry.objects.get(action="LeaveOrganization")
    assert (entry.principal, entry.object_id) == ("support:sam@example.com", "acme")


def test_the_next_visit_ends_the_one_before(visitor: Client) -> None:
    other = Organization.objects.create(name="next")
    visitor.post(reverse("admin-visit", args=[other.pk]), {"reason": "Ticket 4712"})
    assert AuditEntry.objects.get(action="LeaveOrganization").object_id == "acme"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_of_a_page_without_forms_is_refused_and_recorded(
    visitor: Client, method: str
) -> None:
    assert visitor.generic(method, "/o/acme/clusters").status_code == 403
    entry = AuditEntry.objects.get(action="ChangePage")
    assert (entry.outcome, entry.object_id) == ("REFUSED", "/o/acme/clusters")


def test_a_visit_exports_no_list(visitor: Client) -> None:
    assert visitor.get("/o/acme/activity", {"export": "csv"}).status_code == 403
    assert AuditEntry.objects.get(action="ExportList").outcome == "REFUSED"
    assert "Export as CSV" not in visitor.get("/o/acme/activity").content.decode()


def test_a_visit_ends_with_the_rights_of_support(visitor: Client, sam: User) -> None:
    User.objects.filter(pk=sam.pk).update(is_staff=False, is_superuser=False)
    assert visitor.get("/o/acme/clusters").status_code == 404


def test_a_visit_opens_no_other_organization(visitor: Client) -> None:
    Organization.objects.create(name="other")
    assert visitor.get("/o/other/clusters").status_code == 404


def test_token_members_and_keys_stay_hidden(visitor: Client, make_cluster: MakeCluster) -> None:
    content = visitor.get(f"/o/acme/clusters/{make_cluster().pk}").content.decode()
    assert "Show token" not in content
    assert visitor.get("/o/acme/members").status_code == 403
    assert visitor.get("/o/acme/api-keys").status_code == 403


def test_onlookers_without_the_permission_cannot_visit(
    signed_in: Callable[[User], Client], organization: Organization
) -> None:
    client = signed_in(make_user("noor", is_staff=True))
    assert client.get(reverse("admin-visit", args=[organization.pk])).status_code == 403
