"""Progress is work done over work to do, of all collections and phases, and never goes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups.archive.manifest import CollectionContent
from backups.connections import address_of
from backups.milvus import polling
from backups.models import Backup
from backups.restore.inserting import CollectionRestore
from backups.restore.progress import (
    BEGIN,
    COMPARING,
    END,
    INDEXING,
    INSERTING,
    WEIGHTS,
    RestoreProgress,
)
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.interruption import Dead, taken_over
from tests.backups.test_preflight import collection, index
from vbase_console.tasks import services as tasks
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
Said = list[tuple[int, str]]
Reported = list[tuple[int, str, str]]


class Told:
    """An attempt that only listens."""

    def __init__(self) -> None:
        self.said: Said = []

    def report(self, percent: int, phase: str, message: str) -> None:
        self.said.append((percent, phase))

    def safe_point_now(self) -> None:
        """Never cancelled."""


def content(name: str, size: int, **fields: Any) -> CollectionContent:
    description = dataclasses.replace(collection(**fields), name=name)
    return dataclasses.replace(CollectionContent.of(description, ()), rows=100, bytes=size)


def of(*contents: CollectionContent) -> tuple[RestoreProgress, Said]:
    told = Told()
    return RestoreProgress(told, contents), told.said  # type: ignore[arg-type]


def test_half_of_the_only_phase_left_is_half_of_the_way_there() -> None:
    progress, said = of(content("a", 1000))
    progress.passed("a", INSERTING)
    begin = progress.percent
    progress.report("a", COMPARING, 50, 100, "Half.")
    assert said == [((begin + END) // 2, COMPARING)]


def test_a_large_collection_is_more_work_than_a_small_one() -> None:
    progress, _ = of(content("small", 10), content("large", 990))
    progress.passed("small", INSERTING, COMPARING)
    assert progress.percent == BEGIN
    progress.passed("large", INSERTING, COMPARING)
    assert progress.percent == END


def test_an_index_is_work_only_where_there_is_one() -> None:
    progress, _ = of(content("a", 1000, indexes=(index("HNSW"),)))
    progress.passed("a", INSERTING, COMPARING)
    without = sum(WEIGHTS.values()) - WEIGHTS[INDEXING]
    assert progress.percent == BEGIN + (END - BEGIN) * without // sum(WEIGHTS.values())


def test_nothing_that_is_said_takes_progress_back() -> None:
    progress, said = of(content("a", 1000))
    for done in (80, 0, 30):
        progress.report("a", INSERTING, done, 100, "")
    assert said == [said[0]] * 3


def test_empty_collections_are_no_trouble() -> None:
    progress, _ = of(content("a", 0))
    progress.report("a", INSERTING, 0, 0, "")
    progress.passed("a", INSERTING, COMPARING)
    assert progress.percent == END


# on a real cluster


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Reported:
    """Everything that is reported, however often."""
    reported: Reported = []
    report = Attempt.report

    def noted(self: Attempt, percent: int, phase: str, message: str) -> None:
        reported.append((percent, phase, message))
        report(self, percent, phase, message)

    monkeypatch.setattr(Attempt, "report", noted)
    return reported


def taken(cluster: Cluster, work: Work, *names: str) -> Backup:
    job = plan_backup(cluster, collection_names=names).submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def test_three_collections_move_on_together(
    cluster: Cluster, milvus: MilvusClient, work: Work, reported: Reported
) -> None:
    for name in ("one", "two", "three"):
        fill(milvus, name, rows=400)
    backup = taken(cluster, work, "one", "two", "three")
    reported.clear()
    plan_restore(backup, cluster, on_conflict="RENAME", suffix="_b").submit(by="alice")
    work()
    percents, phases, messages = zip(*reported, strict=True)
    assert list(percents) == sorted(percents)
    assert len(set(percents)) > 6
    assert list(dict.fromkeys(phases)) == [
        *("reading", "inserting", "comparing", "indexing", "swapping")
    ]
    assert "Verifying part 1 of 1; one." in messages


def slow_to_index(milvus: MilvusClient) -> None:
    schema = milvus.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    index = milvus.prepare_index_params()
    slow = {"M": 32, "efConstruction": 3000}
    index.add_index("vector", index_type="HNSW", metric_type="L2", params=slow)
    milvus.create_collection("slow", schema=schema, index_params=index)
    milvus.insert("slow", [{"id": i, "vector": [float(i)] * 8} for i in range(6000)])


def test_an_index_is_counted_and_can_be_cancelled_while_it_is_built(
    cluster: Cluster, milvus: MilvusClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_to_index(milvus)
    backup = taken(cluster, work, "slow")
    before, say, counted = rows_of(milvus, "slow"), CollectionRestore._report_indexed, []

    def cancelled_halfway(self: CollectionRestore, done: int, total: int) -> None:
        if 0 < done < total:
            counted.append((done, total))
            tasks.request_cancel(self._attempt.task, by="alice")
            self._attempt.cancel_requested.set()
        say(self, done, total)

    monkeypatch.setattr(CollectionRestore, "_report_indexed", cancelled_halfway)
    monkeypatch.setattr(polling, "MAX_PAUSE_SECONDS", 0.01)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert (job.task.state, len(counted)) == ("CANCELLED", 1)
    assert rows_of(milvus, "slow") == before


def test_an_index_that_a_dead_worker_began_is_finished_by_the_next_one(
    cluster: Cluster, milvus: MilvusClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_to_index(milvus)
    backup = taken(cluster, work, "slow")

    def die_halfway(self: CollectionRestore, done: int, total: int) -> None:
        if 0 < done < total:
            raise Dead

    monkeypatch.setattr(CollectionRestore, "_report_indexed", die_halfway)
    monkeypatch.setattr(polling, "MAX_PAUSE_SECONDS", 0.01)
    job = plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    with pytest.raises(Dead):
        run_task(job.task.task_id)
    monkeypatch.undo()
    assert taken_over(job.task).state == "SUCCEEDED"
    assert indexed(cluster, "slow") == (6000, 6000)


def indexed(cluster: Cluster, name: str) -> tuple[int, int]:
    control = address_of(cluster).control
    assert control is not None
    found = control.call("IndexProgress", database="default", collection=name)
    return found["indexed"], found["total"]
