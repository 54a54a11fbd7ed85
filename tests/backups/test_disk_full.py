"""A disk that fills up in the middle of a job: it fails and says what to do, nothing is left, and
the same can be asked again.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from backups import connections
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.jobs import retry_job
from backups.services.restores import plan_restore
from backups.stores import local
from backups.stores.local import LocalStore
from backups.sweeps import sweep_janitor
from clusters.drivers.embedded.layout import ClusterDirectory
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.test_interruption import hidden

Work = Callable[[], int]
ROWS = 300
SMALLEST = 2048


@pytest.fixture
def full_after_two_parts(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Write the third file to a device that is always full."""
    made, prepare = [], local._StagedFile.__init__

    def prepare_on_a_full_disk(self: local._StagedFile, root: str, incoming: int) -> None:
        prepare(self, root, incoming)
        made.append(self.name)
        if len(made) > 2:
            self.stream.close()
            self.stream = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")

    monkeypatch.setattr(local._StagedFile, "__init__", prepare_on_a_full_disk)
    return monkeypatch


def ended(job: BackupJob, work: Work) -> str:
    work()
    job.task.refresh_from_db()
    return str(job.task.state)


def test_a_backup_that_fills_its_store_leaves_nothing_and_can_be_asked_for_again(
    cluster: Cluster,
    milvus: MilvusClient,
    store: LocalStore,
    work: Work,
    small_parts: None,
    full_after_two_parts: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=ROWS)
    wanted = {"collection_names": ["images"], "backup_name": "nightly"}
    job = plan_backup(cluster, **wanted).submit(by="alice")
    assert ended(job, work) == "FAILED"
    assert "The backup store is full" in job.task.message
    assert "then retry" in job.task.message
    sweep_janitor()
    assert list(store.list(job.backup.directory)) == []
    assert connections.snapshots_of(cluster).names() == []
    full_after_two_parts.undo()
    assert ended(plan_backup(cluster, **wanted).submit(by="alice"), work) == "SUCCEEDED"


def test_what_filled_the_store_does_not_name_its_place(
    cluster: Cluster,
    milvus: MilvusClient,
    store: LocalStore,
    work: Work,
    small_parts: None,
    full_after_two_parts: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=ROWS)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    assert ended(job, work) == "FAILED"
    assert store.root not in job.task.message


@pytest.fixture
def no_room(cluster: Cluster, machine: Path) -> Iterator[Callable[[bool], None]]:
    """Let the kernel refuse writes of the cluster's process beyond its smallest files, or permit
    them.
    """
    identity = ClusterDirectory(machine, cluster.cluster_id).process()
    assert identity is not None
    hard = resource.prlimit(identity.pid, resource.RLIMIT_FSIZE)[1]

    def limit(is_full: bool) -> None:
        size = SMALLEST if is_full else hard
        resource.prlimit(identity.pid, resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    limit(False)


@pytest.mark.parametrize("how", [{"on_conflict": "REPLACE"}, {"db_name": "elsewhere"}])
def test_a_restore_into_a_full_cluster_leaves_it_as_it_was_and_can_be_asked_for_again(
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    no_room: Callable[[bool], None],
    how: dict[str, str],
) -> None:
    fill(milvus, rows=ROWS)
    taken = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    assert ended(taken, work) == "SUCCEEDED"
    backup = Backup.objects.get()
    before = rows_of(milvus)
    job = plan_restore(backup, cluster, **how).submit(by="alice")
    no_room(True)
    assert ended(job, work) == "FAILED"
    assert "The cluster's disk is full" in job.task.message
    sweep_janitor()
    assert (rows_of(milvus), hidden(cluster)) == (before, [])
    assert milvus.list_databases() == ["default"]
    no_room(False)
    again = retry_job(job, by="alice")
    assert ended(again, work) == "SUCCEEDED", again.task.message
