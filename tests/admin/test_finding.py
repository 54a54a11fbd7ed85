"""Support staff find what a customer calls about, by whatever the customer can name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from clusters.models import Cluster
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import issue_api_key
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]

CLUSTERS, TASKS = "/admin/clusters/cluster/", "/admin/tasks/task/"


def found(client: Client, page: str, query: str) -> str:
    return client.get(page, {"q": query}).content.decode()


@pytest.mark.parametrize("field", ["cluster_id", "service_id", "name"])
def test_it_finds_a_cluster_by_its_ids_and_name(
    support: Client, make_cluster: MakeCluster, field: str
) -> None:
    cluster = make_cluster("vectors")
    assert cluster.cluster_id in found(support, CLUSTERS, getattr(cluster, field))
    assert cluster.cluster_id not in found(support, CLUSTERS, "elsewhere")


def test_it_finds_a_cluster_by_its_organization(support: Client, make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    organization = cluster.organization
    assert cluster.cluster_id in found(support, CLUSTERS, organization.name)
    assert cluster.cluster_id in found(support, CLUSTERS, str(organization.pk))


def test_it_finds_a_task_by_its_id_its_cluster_and_its_organization(
    support: Client, failed_task: Task
) -> None:
    for query in (failed_task.task_id, failed_task.subject_id, "acme"):
        assert failed_task.task_id in found(support, TASKS, query)


def test_it_filters_tasks_by_state_kind_and_organization(
    support: Client, failed_task: Task
) -> None:
    chosen = {
        "state__exact": "FAILED",
        "kind": "RESTART",
        "organization__id__exact": str(failed_task.organization_id),
    }
    assert failed_task.task_id in support.get(TASKS, chosen).content.decode()
    others = support.get(TASKS, chosen | {"kind": "STOP"}).content.decode()
    assert failed_task.task_id not in others


def test_it_shows_why_a_task_failed_and_every_event(support: Client, failed_task: Task) -> None:
    page = support.get(f"{TASKS}{failed_task.pk}/change/").content.decode()
    assert "While starting: the disk is full." in page
    assert "Starting the server." in page


def test_it_tells_times_to_the_second_and_their_zone(support: Client, failed_task: Task) -> None:
    page = support.get(f"{TASKS}{failed_task.pk}/change/").content.decode()
    assert f"{failed_task.created_at:%Y-%m-%d %H:%M:%S} UTC" in page


def test_it_leads_from_a_task_to_its_cluster(support: Client, failed_task: Task) -> None:
    way = f"{CLUSTERS}{failed_task.subject_id}/change/"
    assert way in found(support, TASKS, failed_task.task_id)
    assert way in support.get(f"{TASKS}{failed_task.pk}/change/").content.decode()


def test_it_leads_from_a_cluster_to_its_tasks(support: Client, failed_task: Task) -> None:
    page = support.get(f"{CLUSTERS}{failed_task.subject_id}/change/").content.decode()
    assert f"{TASKS}?q={failed_task.subject_id}" in page


def test_it_shows_an_organization_with_its_members(
    support: Client, organization: Organization
) -> None:
    page = support.get(f"/admin/organizations/organization/{organization.pk}/change/")
    assert "alice@example.com" in page.content.decode()


def test_it_never_shows_a_hash_or_a_sealed_token(
    support: Client, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster()
    key, text = issue_api_key(cluster.organization, name="ci", scopes=["GetCluster"])
    shown = support.get(f"/admin/organizations/apikey/{key.pk}/change/").content.decode()
    shown += support.get(f"{CLUSTERS}{cluster.pk}/change/").content.decode()
    for secret in (key.hashed_key, text, cluster.sealed_token, cluster.token):
        assert secret not in shown
