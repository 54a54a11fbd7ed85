"""One history of the tasks of clusters and the jobs of backups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.states import JobKind
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.tasks.models import Task


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


def test_tasks_and_jobs_are_in_one_list(cluster: Cluster, alices: Browser) -> None:
    job = seed_job(seed_backup(cluster, "nightly"), JobKind.VERIFY)
    answer = alices.open("operation-list")
    assert [row.task.kind for row in answer.context["operations"]] == ["VERIFY", "DEPLOYMENT"]
    content = answer.content.decode()
    assert f'href="{alices.address("job-detail", job.task.task_id)}"' in content
    assert f'href="{alices.address("backup-detail", "nightly")}"' in content


def test_a_cluster_has_its_own_tasks_and_jobs(
    cluster: Cluster, make_cluster: Callable[..., Cluster], alices: Browser
) -> None:
    seed_job(seed_backup(make_cluster("other"), "elsewhere"))
    seed_job(seed_backup(cluster, "nightly"))
    rows = alices.open("cluster-operation-list", cluster.pk).context["operations"]
    assert [row.task.kind for row in rows] == ["BACKUP", "DEPLOYMENT"]


@pytest.mark.parametrize("q", ["nightly", "vectors"])
def test_it_finds_backups_and_clusters_by_name(cluster: Cluster, alices: Browser, q: str) -> None:
    seed_job(seed_backup(cluster, "nightly"))
    rows = alices.open("operation-list", q=q, kind="BACKUP").context["operations"]
    assert [row.task.kind for row in rows] == ["BACKUP"]


@pytest.mark.parametrize("old", ["tasks", "jobs"])
def test_the_former_lists_lead_here_with_their_filter(
    cluster: Cluster, alices: Browser, charlies: Browser, old: str
) -> None:
    moved = alices.open(f"{old}-moved", state="FAILED")
    assert moved.url == f"{alices.address('operation-list')}?state=FAILED"
    moved = alices.open(f"cluster-{old}-moved", cluster.pk)
    assert moved.url == alices.address("cluster-operation-list", cluster.pk)
    charlies.organization = "other"
    assert charlies.open(f"cluster-{old}-moved", cluster.pk).status_code == 404


def ended(task: Task, *, days_ago: int, state: str = "SUCCEEDED") -> str:
    """Move the end of a task. Returns the day."""
    at = timezone.now() - timedelta(days=days_ago)
    Task.objects.filter(pk=task.pk).update(finished_at=at, state=state)
    return at.date().isoformat()


def test_the_picture_counts_tasks_and_jobs_of_each_day(cluster: Cluster, alices: Browser) -> None:
    ended(
        seed_job(seed_backup(cluster, "nightly"), JobKind.VERIFY).task, days_ago=3, state="FAILED"
    )
    day = ended(Task.objects.get(kind="DEPLOYMENT"), days_ago=3)
    answer = alices.open("operation-list")
    assert answer.context["bar"].title.endswith("in the last 30 days: 1 succeeded, 1 failed")
    assert f'href="/o/acme/operations?day={day}"' in answer.content.decode()


def test_a_column_leads_to_the_operations_that_it_counts(cluster: Cluster, alices: Browser) -> None:
    day = ended(seed_job(seed_backup(cluster, "nightly"), JobKind.VERIFY).task, days_ago=3)
    answer = alices.open("operation-list", day=day)
    assert [row.task.kind for row in answer.context["operations"]] == ["VERIFY"]
    link = answer.content.decode().partition(f'operations?day={day}" title=')[2]
    assert 'aria-current="true"' in link.partition(">")[0]
    listed = alices.open("cluster-operation-list", cluster.pk, day=day).context["operations"]
    assert [row.task.kind for row in listed] == ["VERIFY"]


def test_the_operations_of_a_day_are_in_the_order_of_their_ends(
    cluster: Cluster, alices: Browser
) -> None:
    job = seed_job(seed_backup(cluster, "nightly"), JobKind.VERIFY).task
    day = ended(job, days_ago=0)
    first = Task.objects.get(kind="DEPLOYMENT")
    Task.objects.filter(pk=first.pk).update(finished_at=timezone.now())
    listed = alices.open("operation-list", day=day).context["operations"]
    assert [row.task.kind for row in listed] == ["DEPLOYMENT", "VERIFY"]


def test_without_ended_operations_there_is_no_picture(alices: Browser) -> None:
    assert alices.open("operation-list").context["bar"] is None


def test_the_numbers_of_each_day_stand_beside_the_picture(
    cluster: Cluster, alices: Browser
) -> None:
    day = ended(Task.objects.get(kind="DEPLOYMENT"), days_ago=3, state="CANCELLED")
    content = alices.open("operation-list").content.decode()
    row = content.partition(f'id="ended-{day}"')[2].partition("</tr>")[0]
    assert "0<span" in row
    assert '1<span class="narrow"> cancelled' in row
