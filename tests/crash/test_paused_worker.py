"""SIGSTOP past the lease, another worker finishes, SIGCONT: the first one changes nothing more."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.crash.processes import exit_code, run_worker, start_worker, wait_until
from tests.crash.scenarios import PLAIN
from vbase_console.tasks.models import Task, TaskEvent

MakeCluster = Callable[..., Cluster]
STEPS = dict.fromkeys(PLAIN, 2) | {"DEPLOYMENT": 3, "RESTART": 3}
FIRST_AND_LAST = [(kind, step) for kind, last in STEPS.items() for step in (1, last)]


def the_world(directory: Path) -> tuple[list[object], ...]:
    kept = (directory / "clusters.json").read_text()
    tables = (Task, TaskEvent, Cluster)
    return *(list(table.objects.order_by("pk").values()) for table in tables), [kept]


@pytest.mark.parametrize(("kind", "step"), FIRST_AND_LAST)
def test_a_worker_that_was_paused_past_its_lease_leaves_no_trace(
    make_cluster: MakeCluster, shared: MemoryDriver, directory: Path, kind: str, step: int
) -> None:
    scenario = PLAIN[kind]
    cluster = make_cluster(running=scenario.deployed, resources={"version": "2.0.0"})
    scenario.prepare(cluster)
    scenario.ask(cluster)
    marker = directory / "reached"
    paused = start_worker(directory, at_step=_stop_at(step, marker))
    wait_until(marker.exists, "the worker stands still in its job")
    assert run_worker(directory) == 0
    before = the_world(directory)
    os.kill(paused.pid or 0, signal.SIGCONT)
    assert exit_code(paused) == 0
    assert the_world(directory) == before
    assert Task.objects.latest("pk").state == "SUCCEEDED"


def test_it_cannot_undo_what_came_after_it(
    make_cluster: MakeCluster, shared: MemoryDriver, directory: Path
) -> None:
    """While it stood still its scaling was finished, and the cluster scaled again."""
    cluster = make_cluster()
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    marker = directory / "reached"
    paused = start_worker(directory, at_step=_stop_at(1, marker))
    wait_until(marker.exists, "the worker stands still in its job")
    services.scale_cluster(cluster, changes={"compute_units": 5}, by="alice")
    assert run_worker(directory) == 0
    os.kill(paused.pid or 0, signal.SIGCONT)
    assert exit_code(paused) == 0
    with shared._store.opened() as clusters:
        assert clusters[cluster.pk].compute_units == 5


def _stop_at(number: int, marker: Path) -> Callable[[str], None]:
    """The worker stops itself, all its threads with it, at its n-th step."""
    steps = iter(range(1, 1000))

    def at_step(phase: str) -> None:
        if next(steps) == number:
            marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0)  # the signal is delivered here at the latest

    return at_step
