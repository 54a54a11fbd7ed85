"""Activity: from every row to what it is about, where that can still be opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from backups.models import Backup
from clusters import services
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.organizations.audit import Interface, record
from vbase_console.organizations.models import AuditEntry, Organization

MakeCluster = Callable[..., Cluster]
Tell = Callable[..., None]


@pytest.fixture
def tell(organization: Organization) -> Tell:
    def tell(action: str, about: object, detail: str = "") -> None:
        record(
            organization_id=organization.pk,
            principal="alice@example.com",
            action=action,
            object_id=str(about),
            source=None,
            interface=Interface.PAGES,
            detail=detail,
        )

    return tell


@pytest.fixture
def backup(make_cluster: MakeCluster) -> Backup:
    return seed_backup(make_cluster(), "nightly")


def ways(browser: Browser) -> list[str]:
    """Return the targets of the links in the rows."""
    content: Any = browser.open("activity-list", htmx=True).content.decode()
    return re.findall(r'<a href="(/o/[^"]+)"><code>', content)


def test_a_cluster_is_opened_by_either_of_its_ids(
    tell: Tell, alices: Browser, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster()
    tell("StopCluster", cluster.cluster_id)
    tell("RestoreBackup", cluster.service_id)
    assert ways(alices) == [alices.address("cluster-detail", cluster.pk)] * 2


def test_the_operation_that_was_accepted_is_opened(
    tell: Tell, alices: Browser, make_cluster: MakeCluster, backup: Backup
) -> None:
    task = services.stop_cluster(make_cluster("other"), by="alice").task_id
    job = seed_job(backup).task.task_id
    tell("VerifyBackup", "gone", job)
    tell("CancelTask", task)
    assert ways(alices) == [alices.address("task-detail", task), alices.address("job-detail", job)]


def test_a_backup_is_opened_by_its_name_and_only_where_a_backup_is_meant(
    tell: Tell, alices: Browser, backup: Backup
) -> None:
    tell("PinBackup", backup.name)
    tell("CreateOrganization", backup.name)
    assert ways(alices) == [alices.address("backup-detail", backup.name)]


def test_what_is_gone_or_anothers_leads_nowhere(
    tell: Tell, alices: Browser, charlie: User, backup: Backup
) -> None:
    theirs = Organization.objects.get(name="other")
    Cluster.objects.update(organization=theirs)
    Backup.objects.update(status="GONE")
    tell("DeleteBackup", backup.name)
    tell("StopCluster", backup.cluster_id)
    tell("DeleteBackupPolicy", "pol-gone")
    assert ways(alices) == []


def test_members_and_keys_lead_to_their_lists_for_owners_alone(
    tell: Tell, alices: Browser, bobs: Browser
) -> None:
    tell("ChangeRole", "bob@example.com")
    tell("RevokeApiKey", "abcdefgh")
    assert ways(alices) == [
        f"{alices.address('api-key-list')}?q=abcdefgh",
        f"{alices.address('membership-list')}?q=bob%40example.com",
    ]
    assert ways(bobs) == []


def test_typos_in_forms_are_shown_on_request_only(cluster: Cluster, alices: Browser) -> None:
    alices.send("cluster-create", name="slash/ed", version="2.1.0", compute_units="1")
    alices.send("cluster-stop", cluster.pk)
    shown = {row.entry.action for row in alices.open("activity-list").context["activity"]}
    assert shown == {"StopCluster"}
    rows = alices.open("activity-list", input="shown").context["activity"]
    assert {row.entry.action for row in rows} == {"StopCluster", "CreateCluster"}


def test_a_change_shows_the_old_and_the_new_value(
    alices: Browser, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(name="vectors")
    alices.send("cluster-edit", cluster.pk, name="images", deletion_protection="on")
    content = alices.open("activity-list").content.decode()
    assert "Name: <del>vectors</del> → <ins>images</ins>" in content
    assert "Deletion protection: <del>off</del> → <ins>on</ins>" in content


def test_a_refused_change_shows_no_difference(alices: Browser, make_cluster: MakeCluster) -> None:
    taken, cluster = make_cluster(name="taken"), make_cluster(name="vectors")
    alices.send("cluster-edit", cluster.pk, name=taken.name)
    entry = AuditEntry.objects.get(action="UpdateCluster")
    assert (entry.outcome, entry.changes) == ("REFUSED", None)


def test_differences_are_exported(alices: Browser, make_cluster: MakeCluster) -> None:
    alices.send("cluster-edit", make_cluster(name="vectors").pk, name="images")
    answer: Any = alices.open("activity-list", export="csv")
    lines = b"".join(answer.streaming_content).decode()
    assert '""name"": [""vectors"", ""images""]' in lines


def test_an_action_is_shown_and_found_by_its_words(tell: Tell, alices: Browser) -> None:
    tell("UpdateOrganization", "acme")
    tell("IssueApiKey", "abcdefgh")
    page = alices.open("activity-list").content.decode()
    assert ">Update organization</span>" in page
    assert ">Issue API key</span>" in page
    for text, action in (("update org", "UpdateOrganization"), ("issue api key", "IssueApiKey")):
        rows = alices.open("activity-list", q=text).context["activity"]
        assert [row.entry.action for row in rows] == [action]


def test_activity_is_filtered_by_day_address_and_difference(tell: Tell, alices: Browser) -> None:
    tell("StopCluster", "vc-1")
    today = f"{timezone.now():%Y-%m-%d}"
    assert "StopCluster" in alices.open("activity-list", since=today, until=today).content.decode()
    for filters in ({"until": "2020-01-01"}, {"address": "10."}, {"changes": "some"}):
        assert "StopCluster" not in alices.open("activity-list", **filters).content.decode()


def test_the_connection_of_an_attached_cluster_is_named_without_its_address(
    alices: Browser, organization: Organization
) -> None:
    AuditEntry.objects.create(
        organization=organization,
        principal="alice@example.com",
        action="UpdateCluster",
        interface=Interface.API,
        outcome="ACCEPTED",
        changes={"name": ["a", "b"], "endpoint": ["db.example.com", "milvus.example.com"]},
    )
    page = alices.open("activity-list").content.decode()
    exported: Any = alices.open("activity-list", export="csv")
    content = b"".join(exported.streaming_content).decode()
    assert "Connection: <ins>changed</ins>" in page
    assert "connection" in content
    assert "example.com" not in page.replace("alice@example.com", "").replace("bob@", "")
    assert "milvus.example.com" not in content
