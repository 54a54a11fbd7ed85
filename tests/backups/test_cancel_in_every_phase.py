"""A job is cancelled in each of its phases: it stops within a batch and removes what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.capture import job as capture_job
from backups.connections import connect, snapshots_of
from backups.milvus import pinned
from backups.milvus.schema import describe
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from vbase_console.tasks import services as tasks
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

ROWS = 200
Work = Callable[[], int]


class Canceller:
    """Asks for a stop at the first word out of a phase, and counts the batches handed out since."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.phase, self.asked, self.batches_since = "", False, 0
        patch.setattr(Attempt, "report", self._listening(Attempt.report))
        for scan in (pinned.PinnedScan, ArchiveReader):
            patch.setattr(scan, "batches", self._counting(scan.batches))

    def _listening(self, report: Callable[..., None]) -> Callable[..., None]:
        def heard(attempt: Attempt, percent: int, phase: str, message: str) -> None:
            report(attempt, percent, phase, message)
            if phase == self.phase and not self.asked:
                self.asked = True
                tasks.request_cancel(Task.objects.get(pk=attempt.task.pk), by="alice")

        return heard

    def _counting(self, batches: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def counted(*arguments: Any) -> Iterator[Any]:
            for each in batches(*arguments):
                self.batches_since += self.asked
                yield each

        return counted


@pytest.fixture
def canceller(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Canceller:
    """With many small parts and batches, and no heartbeat that would tell of the request."""
    settings.LEASE_SECONDS = 60
    write = capture_job.write_parts
    monkeypatch.setattr(
        capture_job, "write_parts", lambda *a, **options: write(*a, **options, part_bytes=1)
    )
    monkeypatch.setattr(pinned, "_batch_rows", lambda metadata: 16)
    return Canceller(monkeypatch)


def world(cluster: Cluster, milvus: MilvusClient) -> Any:
    """Collections with everything that belongs to them, hidden ones too, and pins."""
    with connect(cluster, "default") as client:
        described = [describe(client, name).to_json() for name in client.collections()]
    snapshots = snapshots_of(cluster)
    return described, snapshots.names() if snapshots else [], rows_of(milvus)


@pytest.mark.parametrize("phase", ["pinning", "copying", "sealing"])
def test_a_backup(
    phase: str, canceller: Canceller, cluster: Cluster, milvus: MilvusClient, store: LocalStore
) -> None:
    fill(milvus, rows=ROWS)
    before = world(cluster, milvus)
    canceller.phase = phase
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    run_task(job.task.task_id)
    assert (canceller.asked, canceller.batches_since <= 1) == (True, True)
    assert ended(job) == ("CANCELLED", "GONE")
    assert list(store.list(job.backup.directory)) == []
    assert world(cluster, milvus) == before


@pytest.mark.parametrize("phase", ["reading", "inserting", "comparing", "indexing", "swapping"])
def test_a_restore(
    phase: str,
    canceller: Canceller,
    cluster: Cluster,
    milvus: MilvusClient,
    store: LocalStore,
    work: Work,
) -> None:
    backup = a_backup(cluster, milvus, work)
    milvus.delete("images", filter="id < 20")
    before = world(cluster, milvus)
    canceller.phase = phase
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    run_task(job.task.task_id)
    assert (canceller.asked, canceller.batches_since <= 1) == (True, True)
    assert ended(job) == ("CANCELLED", "AVAILABLE")
    assert world(cluster, milvus) == before
    assert findings(store, backup.directory) == []


def test_what_was_cancelled_can_be_asked_again(
    canceller: Canceller, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    backup = a_backup(cluster, milvus, work)
    promised = rows_of(milvus)
    milvus.delete("images", filter="id < 20")
    canceller.phase = "comparing"
    for state in ("CANCELLED", "SUCCEEDED"):
        job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
        run_task(job.task.task_id)
        assert ended(job) == (state, "AVAILABLE")
    assert rows_of(milvus) == promised


def a_backup(cluster: Cluster, milvus: MilvusClient, work: Work) -> Backup:
    fill(milvus, rows=ROWS)
    milvus.create_alias("images", "pictures")
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def ended(job: BackupJob) -> tuple[str, str]:
    state = Task.objects.values_list("state", flat=True).get(pk=job.pk)
    return state, Backup.objects.values_list("status", flat=True).get(pk=job.backup_id)
