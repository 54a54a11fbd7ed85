"""A restore into a new cluster, on real Milvus servers, and workers that die between its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pymilvus import MilvusClient

from backups.models import Backup, BackupJob
from backups.restore import job as restore_job
from backups.services.backups import plan_backup
from backups.services.new_clusters import NewCluster, plan_into_new_cluster
from backups.services.restores import restore_options
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import dies, taken_over
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.models import Task

Work = Callable[[], int]
ROWS = 60


@pytest.fixture
def backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=ROWS)
    milvus.create_alias("images", "pictures")
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


@pytest.fixture
def submitted(backup: Backup, principal: Principal, driver: EmbeddedDriver) -> Iterator[BackupJob]:
    """Its cluster is removed at the end, so that the next test does not get its process."""
    restores = [(backup, restore_options(backup))]
    (job,) = plan_into_new_cluster(principal, NewCluster(name="copy"), restores).submit(principal)
    yield job
    for _ in driver.delete(job.cluster_id, lambda: None):
        pass


def again(job: BackupJob) -> BackupJob:
    return BackupJob.objects.select_related("task", "cluster", "backup").get(pk=job.pk)


def deployment_of(job: BackupJob) -> Task:
    return Task.objects.get(kind="DEPLOYMENT", subject_id=job.cluster_id)


def is_equal(job: BackupJob, milvus: MilvusClient) -> bool:
    copy = MilvusClient(f"http://{job.cluster.host}:{job.cluster.port}", token=job.cluster.token)
    try:
        return rows_of(copy, "pictures") == rows_of(milvus)
    finally:
        copy.close()


def test_the_new_cluster_has_every_row(
    submitted: BackupJob, milvus: MilvusClient, work: Work
) -> None:
    work()
    job = again(submitted)
    assert (job.task.state, job.cluster.status) == ("SUCCEEDED", "RUNNING"), job.task.message
    assert is_equal(job, milvus)
    assert job.backup.proven_at is not None


def test_a_restore_that_fails_half_way_leaves_no_cluster_and_no_process(
    submitted: BackupJob, driver: EmbeddedDriver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise JobFailed("Row 7 differs.", permanent=True)

    monkeypatch.setattr(restore_job, "_swap", fail)
    work()
    job = again(submitted)
    assert (job.task.state, job.cluster.status) == ("FAILED", "DELETED")
    assert "The new cluster copy is removed by" in job.task.message
    assert job.cluster_id not in driver.cluster_ids()


def test_a_restore_whose_new_server_died_ends_and_removes_the_cluster(
    submitted: BackupJob, driver: EmbeddedDriver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        for _ in driver.stop(submitted.cluster_id, lambda: None):
            pass
        raise JobFailed("Milvus does not answer.", permanent=True)

    monkeypatch.setattr(restore_job, "_swap", die)
    work()
    job = again(submitted)
    assert (job.task.state, job.cluster.status) == ("FAILED", "DELETED"), job.task.message
    assert job.cluster_id not in driver.cluster_ids()


DEATHS = [
    ("RESTORE", 1),
    *(
        pytest.param(kind, effect, marks=pytest.mark.torture)
        for kind, effects in {"DEPLOYMENT": range(1, 7), "RESTORE": range(2, 13)}.items()
        for effect in effects
    ),
]


@pytest.mark.parametrize(("kind", "effect"), DEATHS)
def test_a_worker_that_dies_is_replaced(
    submitted: BackupJob, milvus: MilvusClient, kind: str, effect: int
) -> None:
    """Before the n-th effect of the deployment or of the restore; the first of the restore is the
    moment between the two.
    """
    for task in (deployment_of(submitted), submitted.task):
        if task.kind == kind:
            assert dies(task, at=effect)
        taken_over(task)
    job = again(submitted)
    assert (job.task.state, job.cluster.status) == ("SUCCEEDED", "RUNNING"), job.task.message
    assert is_equal(job, milvus)
