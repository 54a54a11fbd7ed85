"""However many rows there are, a page costs the same number of queries."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters.models import Cluster
from tests.pages.conftest import Browser
from vbase_console.organizations.audit import Door, record
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Task

PAGES = [
    "overview",
    "cluster-list",
    "task-list",
    "activity-list",
    "membership-list",
    "api-key-list",
]
MOST = 16


def fill(organization: Organization, count: int) -> None:
    Cluster.objects.bulk_create(
        Cluster(organization=organization, name=f"c{n}-{count}", version="2.1.0")
        for n in range(count)
    )
    Task.objects.bulk_create(
        Task(
            task_id=f"task-{cluster.pk}",
            organization=organization,
            kind="SCALING",
            subject_id=cluster.pk,
            state="FAILED" if n % 2 else "PENDING",
        )
        for n, cluster in enumerate(Cluster.objects.filter(name__endswith=f"-{count}"))
    )


def queries(browser: Browser, name: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert browser.open(name).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_the_same_at_ten_and_at_a_thousand_clusters(
    alices: Browser, organization: Organization, name: str
) -> None:
    fill(organization, 10)
    queries(alices, name)
    few = queries(alices, name)
    fill(organization, 1_000)
    assert queries(alices, name) == few
    assert few <= MOST


@pytest.mark.parametrize("sort", ["state", "-requested_by"])
def test_another_order_costs_the_same(
    alices: Browser, organization: Organization, sort: str
) -> None:
    fill(organization, 100)
    unasked = queries(alices, "task-list")
    with CaptureQueriesContext(connection) as captured:
        assert alices.open("task-list", sort=sort, q="task-").status_code == 200
    assert len(captured) == unasked


def test_one_cluster_costs_the_same_however_long_its_history_is(
    alices: Browser, organization: Organization
) -> None:
    fill(organization, 10)
    cluster = Cluster.objects.first()
    address = alices.address("cluster-detail", cluster.pk)
    alices.client.get(address)
    with CaptureQueriesContext(connection) as captured:
        alices.client.get(address)
    assert len(captured) <= MOST


def test_activity_costs_the_same_however_long_it_is(
    alices: Browser, organization: Organization
) -> None:
    def note(count: int) -> None:
        for _ in range(count):
            record(
                organization_id=organization.pk,
                principal="p",
                action="a",
                object_id="o",
                source=None,
                door=Door.API,
            )

    note(3)
    queries(alices, "activity-list")
    few = queries(alices, "activity-list")
    note(60)
    assert queries(alices, "activity-list") == few
