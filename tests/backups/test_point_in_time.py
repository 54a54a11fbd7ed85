"""While one client appends and deletes in a known order, a backup contains exactly one instant of
all its collections, and delays writers only for this instant.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from backups.connections import open_archive
from backups.milvus.pinned import PinnedScan
from backups.models import Backup
from backups.services.backups import plan_backup
from clusters import services as cluster_services
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.crash.processes import wait_until
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
NAMES = ("left", "middle", "right")
ROWS_AT_FIRST = 4_000
AT_ONCE = 20
Change = tuple[str, range, bool]
"""Collection, rows, and True if the rows are added."""


class Writer:
    """Each step's rows come into every collection, in their order; older ones leave in that order,
    too. All is written down before it is asked for.
    """

    def __init__(self, milvus: MilvusClient) -> None:
        self.changes: list[Change] = []
        self._milvus, self._stopped = milvus, threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _write(self) -> None:
        for step in itertools.count():
            come = range(ROWS_AT_FIRST + step * AT_ONCE, ROWS_AT_FIRST + (step + 1) * AT_ONCE)
            go = range(step * AT_ONCE, (step + 1) * AT_ONCE)
            for name in NAMES:
                self.changes.append((name, come, True))
                self._milvus.insert(name, rows_with(come))
            for name in NAMES:
                self.changes.append((name, go, False))
                self._milvus.delete(name, ids=list(go))
            if self._stopped.is_set():
                return


def rows_with(ids: range) -> list[dict[str, Any]]:
    return [{"id": each, "vector": [float(each)] * 8, "title": "t"} for each in ids]


def instants(changes: list[Change], found: dict[str, set[int]]) -> list[int]:
    """After how many changes the collections were just what was found."""
    now = {name: set(range(ROWS_AT_FIRST)) for name in NAMES}
    wrong = sum(len(now[name] ^ found[name]) for name in NAMES)
    matching = [0] if not wrong else []
    for number, (name, ids, comes) in enumerate(changes, start=1):
        wrong += sum(-1 if (each in found[name]) is comes else 1 for each in ids)
        matching += [] if wrong else [number]
    return matching


def keys_of(backup: Backup) -> dict[str, set[int]]:
    reader = open_archive(backup)
    return {
        name: {
            int(key)
            for batch in reader.rows_of(name, "_default")
            for key in np.asarray(batch.column("id"))
        }
        for name in NAMES
    }


@pytest.mark.parametrize("changes_before", [0, 30, 90])
def test_all_collections_are_of_one_instant(
    changes_before: int, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    for name in NAMES:
        fill(milvus, name, rows=0)
        milvus.insert(name, rows_with(range(ROWS_AT_FIRST)))
    writer = Writer(milvus)
    with writer.running():
        wait_until(lambda: len(writer.changes) >= changes_before, "it has written that much")
        backup = plan_backup(cluster, collection_names=NAMES).submit(by="alice").backup
        work()
    backup.refresh_from_db()
    assert len(instants(writer.changes, keys_of(backup))) == 1


def test_a_state_that_never_was_is_told_apart() -> None:
    changes: list[Change] = [("left", range(5_000, 5_001), True)]
    before = {name: set(range(ROWS_AT_FIRST)) for name in NAMES}
    assert instants(changes, before) == [0]
    assert instants(changes, before | {"left": before["left"] | {5_000}}) == [1]
    assert instants(changes, before | {"right": before["right"] | {5_000}}) == []


@pytest.fixture
def in_phase(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[Attempt], None]]:
    """Phase → action when a job first reports it."""
    deeds: dict[str, Callable[[Attempt], None]] = {}
    report = Attempt.report

    def heard(attempt: Attempt, percent: int, phase: str, message: str) -> None:
        report(attempt, percent, phase, message)
        if phase in deeds:
            deeds.pop(phase)(attempt)

    monkeypatch.setattr(Attempt, "report", heard)
    return deeds


def test_it_has_the_cluster_for_itself_only_while_it_pins(
    cluster: Cluster, milvus: MilvusClient, in_phase: dict[str, Callable[[Attempt], None]]
) -> None:
    fill(milvus, rows=100)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    waiting = cluster_services.restart_cluster(cluster, by="alice")
    seen = {}
    for phase in ("pinning", "copying"):
        in_phase[phase] = lambda attempt, phase=phase: seen.update({phase: whose_turn(job.task)})
    run_task(job.task.task_id)
    assert seen == {"pinning": (True, []), "copying": (False, [waiting.task_id])}


def whose_turn(task: Task) -> tuple[bool, list[str]]:
    """Return True if the backup holds the lock, and the tasks that may begin now."""
    task.refresh_from_db()
    return task.holds_lock, list(Task.objects.ready().values_list("task_id", flat=True))


def test_writers_go_on_while_it_copies_and_what_they_write_is_not_in_it(
    cluster: Cluster, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written from the very thread that copies: it would wait for itself for ever."""
    fill(milvus, rows=100)
    batches = PinnedScan.batches

    def writing(self: PinnedScan, after: str | None = None) -> Iterator[Any]:
        for each in batches(self, after):
            milvus.insert("images", rows_with(range(200, 220)))
            milvus.delete("images", ids=list(range(50)))
            yield each

    monkeypatch.setattr(PinnedScan, "batches", writing)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    run_task(job.task.task_id)
    job.backup.refresh_from_db()
    assert job.backup.row_count == 100
    assert milvus.query("images", output_fields=["count(*)"])[0]["count(*)"] == 70
