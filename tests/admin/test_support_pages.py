"""Support staff see problems of all organizations, find any object, and read a cluster's story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backups.models import Backup
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.conftest import make_user
from tests.protection.conftest import know, known
from vbase_console.core.admin_columns import address_of
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]


def text_of(client: Client, page: str, *keys: Any, **query: str) -> str:
    return str(client.get(reverse(page, args=keys), query).content.decode())


@pytest.fixture
def damaged(make_cluster: MakeCluster) -> Backup:
    backup = seed_backup(make_cluster(name="archived"), "nightly")
    Backup.objects.filter(pk=backup.pk).update(damage_found_by="reading")
    return backup


def test_the_index_opens_with_problems_of_all_organizations(
    support: Client, failed_task: Task, damaged: Backup
) -> None:
    content = text_of(support, "admin:index")
    assert f"{Cluster.objects.get(pk=failed_task.subject_id).name}: restart" in content
    assert "While starting: the disk is full." in content
    assert "Damaged backups" in content


@pytest.mark.usefixtures("console_at_work")
def test_the_index_without_problems_says_so(support: Client, make_cluster: MakeCluster) -> None:
    make_cluster()
    assert "No problems in any organization." in text_of(support, "admin:index")


@pytest.mark.parametrize("attribute", ["cluster_id", "service_id", "name", "host"])
def test_a_cluster_is_found_by_id_name_and_endpoint(
    support: Client, make_cluster: MakeCluster, attribute: str
) -> None:
    cluster = make_cluster(name="shop-vectors")
    Cluster.objects.filter(pk=cluster.pk).update(host="10.1.2.3")
    cluster.refresh_from_db()
    answer = support.get(reverse("admin-search"), {"q": str(getattr(cluster, attribute))})
    found = answer.headers.get("Location") or answer.content.decode()
    assert reverse("admin-cluster-story", args=[cluster.pk]) in found


def test_a_person_an_organization_and_a_task_are_found(
    support: Client, alice: User, organization: Organization, failed_task: Task
) -> None:
    assert alice.username in text_of(support, "admin-search", q=alice.username[:5])
    for text, page in (
        (
            str(organization.pk),
            reverse("admin:organizations_organization_change", args=[organization.pk]),
        ),
        (failed_task.task_id, reverse("admin:tasks_task_change", args=[failed_task.pk])),
    ):
        assert support.get(reverse("admin-search"), {"q": text}).headers["Location"] == page


def test_a_collection_is_found_by_its_name(support: Client, make_cluster: MakeCluster) -> None:
    know(make_cluster(), "images")
    assert address_of(known("images")) in text_of(support, "admin-search", q="Images")


def test_the_story_of_a_cluster_has_calls_tasks_events_and_backups_newest_first(
    support: Client, failed_task: Task
) -> None:
    cluster = Cluster.objects.get()
    seed_backup(cluster, "nightly")
    content = text_of(support, "admin-cluster-story", cluster.pk)
    assert content.index("nightly") < content.index("Restart</a>") < content.index("Deployment</a>")
    assert "While starting: the disk is full." in content


def test_pages_of_the_story_neither_skip_nor_repeat_an_entry(
    support: Client, make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vbase_console.dashboard.support.story.PAGE_SIZE", 3)
    cluster = make_cluster()
    names = [seed_backup(cluster, f"backup-{number}").name for number in range(7)]
    shown: list[str] = []
    address = reverse("admin-cluster-story", args=[cluster.pk])
    while address:
        page = support.get(address).context["page"]
        shown += [entry.title for entry in page.entries if entry.kind == "Backup"]
        address = page.older and f"{address.partition('?')[0]}?{page.older_query}"
    assert sorted(shown) == sorted(names)


def test_a_story_costs_the_same_with_more_entries(
    support: Client, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster()
    counts = []
    for more in (1, 12):
        for number in range(more):
            seed_backup(cluster, f"{more}-{number}")
        with CaptureQueriesContext(connection) as queries:
            text_of(support, "admin-cluster-story", cluster.pk)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_story_needs_the_permission_to_see_its_objects(
    signed_in: Callable[[User], Client], make_cluster: MakeCluster, db: None
) -> None:
    client = signed_in(make_user("noor", is_staff=True))
    address = reverse("admin-cluster-story", args=[make_cluster().pk])
    assert client.get(address).status_code == 403
