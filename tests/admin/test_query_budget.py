"""A page of the admin costs the same number of queries at ten rows and at a thousand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import Cluster, LoadSample
from vbase_console.organizations.audit import Interface, record
from vbase_console.organizations.models import ApiKey, AuditEntry, Organization
from vbase_console.tasks.models import Task, TaskEvent

Fill = Callable[[Organization, int], None]


def clusters(organization: Organization, count: int) -> None:
    Cluster.objects.bulk_create(
        Cluster(organization=organization, name=f"c{number}", version="1", sealed_token="")
        for number in range(Cluster.objects.count(), count)
    )


def tasks(organization: Organization, count: int) -> None:
    Task.objects.bulk_create(
        Task(task_id=f"task-{number}", organization=organization, kind="STOP", subject_id="vc-1")
        for number in range(Task.objects.count(), count)
    )


def audit_entries(organization: Organization, count: int) -> None:
    first = record(
        organization_id=organization.pk,
        principal="alice",
        action="ScaleCluster",
        object_id="vc-1",
        source=None,
        interface=Interface.API,
    )
    fields = {"principal": "alice", "action": first.action, "interface": first.interface}
    AuditEntry.objects.bulk_create(
        AuditEntry(organization=organization, outcome=first.outcome, **fields) for _ in range(count)
    )


def keys(organization: Organization, count: int) -> None:
    ApiKey.objects.bulk_create(
        ApiKey(id=f"{number:08}", prefix=f"{number:08}", organization=organization, name="ci")
        for number in range(ApiKey.objects.count(), count)
    )


def load_samples(organization: Organization, count: int) -> None:
    clusters(organization, count)
    LoadSample.objects.bulk_create(
        LoadSample(cluster=cluster, at=timezone.now(), cpu_seconds=1, cores=1)
        for cluster in Cluster.objects.all()
    )


PAGES: dict[str, Fill] = {
    "clusters/cluster": clusters,
    "clusters/loadsample": load_samples,
    "tasks/task": tasks,
    "organizations/auditentry": audit_entries,
    "organizations/apikey": keys,
}


def queries(client: Client, page: str) -> int:
    client.get(page)  # what Django keeps for the whole process is asked for once
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page).status_code == 200
    return len(captured)


@pytest.mark.parametrize("page", PAGES)
def test_it_lists_many_rows_with_as_many_queries_as_few(
    support: Client, organization: Organization, page: str
) -> None:
    PAGES[page](organization, 10)
    few = queries(support, f"/admin/{page}/")
    PAGES[page](organization, 1_000)
    assert queries(support, f"/admin/{page}/") == few


def test_it_shows_a_task_with_many_events_with_as_many_queries_as_few(
    support: Client, failed_task: Task
) -> None:
    page = f"/admin/tasks/task/{failed_task.pk}/change/"
    few = queries(support, page)
    TaskEvent.objects.bulk_create(
        TaskEvent(task=failed_task, epoch=1, state="RUNNING", progress=1) for _ in range(500)
    )
    assert queries(support, page) == few
