"""While one client appends and deletes in a known order, a backup holds exactly one instant."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups import services
from backups.models import Backup
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of

Work = Callable[[], int]
NAMES = ("left", "right")
KEPT = 40


def write_in_order(milvus: MilvusClient, stop: threading.Event) -> None:
    """Row n goes to the left, then to the right; then row n - KEPT leaves both, left first."""
    number = 0
    while not stop.is_set():
        for name in NAMES:
            milvus.insert(name, [{"id": number, "vector": [float(number)] * 8, "title": "t"}])
        for name in NAMES if number >= KEPT else ():
            milvus.delete(name, ids=[number - KEPT])
        number += 1


def is_one_instant(left: list[int], right: list[int]) -> bool:
    """Some prefix of the order above explains both."""
    newest, oldest = max(left), min(left)
    return (
        left == list(range(oldest, newest + 1))
        and right == list(range(min(right), max(right) + 1))
        and newest - max(right) in (0, 1)
        and oldest - min(right) in (0, 1)
        and newest - oldest in (KEPT - 1, KEPT)
        and max(right) - min(right) in (KEPT - 1, KEPT)
    )


@pytest.mark.parametrize("trial", range(3))
def test_all_collections_are_of_one_instant(
    cluster: Cluster, milvus: MilvusClient, work: Work, trial: int
) -> None:
    for name in NAMES:
        fill(milvus, name, rows=0)
    stop = threading.Event()
    writer = threading.Thread(target=write_in_order, args=(milvus, stop))
    writer.start()
    try:
        while milvus.query("right", output_fields=["count(*)"])[0]["count(*)"] < KEPT:
            pass
        job = services.take_backup(cluster, collection_names=NAMES, by="alice")
        work()
    finally:
        stop.set()
        writer.join()
    left, right = restored(cluster, milvus, work, job.backup)
    assert is_one_instant(left, right), (left, right)


def restored(
    cluster: Cluster, milvus: MilvusClient, work: Work, backup: Backup
) -> tuple[list[int], list[int]]:
    backup.refresh_from_db()
    services.restore_backup(backup, cluster, on_conflict="RENAME", suffix="_then", by="alice")
    work()
    left, right = ([int(row["id"]) for row in rows_of(milvus, f"{name}_then")] for name in NAMES)
    return left, right
