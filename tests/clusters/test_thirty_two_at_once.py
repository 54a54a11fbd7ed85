"""Thirty-two people scale one cluster at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from clusters import services
from clusters.drivers.base import ClusterSpec, Guard
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.tasks.together import together
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

MakeCluster = Callable[..., Cluster]
CROWD = 32
PATIENCE_SECONDS = 120


class Watched:
    """Notes the order in which the driver is asked, and whether two ever ask at once."""

    def __init__(self, driver: MemoryDriver) -> None:
        self._scale = driver.scale
        self._inside = threading.Lock()
        self.asked: list[int] = []
        self.met = False

    def scale(self, spec: ClusterSpec, guard: Guard) -> object:
        self.met = self.met or not self._inside.acquire(blocking=False)
        self.asked.append(spec.compute_units)
        yield from self._scale(spec, guard)
        self._inside.release()


def test_all_that_were_accepted_run_one_after_another_in_order(
    make_cluster: MakeCluster, driver: MemoryDriver, settings: Any
) -> None:
    settings.LEASE_SECONDS = 60  # no takeover from a machine that pauses for a while
    cluster = make_cluster()
    watched = Watched(driver)
    driver.scale = watched.scale  # type: ignore[method-assign, assignment]
    together(CROWD, lambda number: _scale(cluster, number + 2))
    accepted = list(Task.objects.filter(kind="SCALING").order_by("pk"))
    assert len(accepted) == CROWD
    together(8, lambda number: _work_until_done())
    wanted = [task.arguments["changes"]["compute_units"] for task in accepted]
    assert (watched.asked, watched.met) == (wanted, False)
    cluster.refresh_from_db()
    assert (cluster.compute_units, cluster.status) == (wanted[-1], "RUNNING")


def test_of_thirty_two_that_ask_for_the_same_one_is_accepted(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    answers = together(CROWD, lambda number: _scale(cluster, 5))
    assert len([answer for answer in answers if answer]) == 1


def test_of_thirty_two_deletions_one_is_accepted(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    answers = together(CROWD, lambda number: _refused_or(services.delete_cluster, cluster))
    assert len([answer for answer in answers if answer]) == 1


def _scale(cluster: Cluster, units: int) -> object:
    return _refused_or(services.scale_cluster, cluster, changes={"compute_units": units})


def _refused_or(service: Callable[..., object], cluster: Cluster, **fields: object) -> object:
    from vbase_console.core.errors import ConsoleError

    try:
        return service(cluster, by="alice", **fields)
    except ConsoleError:
        return None


def _work_until_done() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Task.objects.active().exists() and time.monotonic() < deadline:
        for task_id in Task.objects.ready().values_list("task_id", flat=True):
            run_task(task_id)
        time.sleep(0.05)  # seven of eight have nothing to do, and would only take the machine
