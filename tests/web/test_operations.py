"""One history of the tasks of clusters and the jobs of backups."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.states import JobKind
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser


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
