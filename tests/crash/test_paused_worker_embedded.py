"""SIGSTOP beyond the lease on real clusters: a worker that wakes too late changes no process."""

from __future__ import annotations

import signal

import psutil
import pytest

from clusters.drivers.base import ClusterDriver
from clusters.models import Cluster
from tests.crash.embedded import SCENARIOS, Prepare, RunWorker, StartWorker
from tests.crash.embedded import embedded as embedded
from tests.crash.embedded import prepare as prepare
from tests.crash.embedded import run_worker as run_worker
from tests.crash.embedded import start_worker as start_worker
from tests.crash.processes import wait_until
from vbase_console.tasks.models import Task, TaskEvent

PHASES = {
    "DEPLOYMENT": ("preparing", "starting", "health"),
    "SCALING": ("starting", "health"),
    "RESTART": ("stopping", "starting", "health"),
    "STOP": ("stopping", "stopped"),
    "START": ("starting", "health"),
    "DELETION": ("stopping", "deleting"),
}


def the_world(driver: ClusterDriver, cluster: Cluster) -> tuple[object, ...]:
    """The rows, and the process: another one would have begun at another time."""
    rows = [list(table.objects.order_by("pk").values()) for table in (Task, TaskEvent, Cluster)]
    return rows, driver.observe([cluster.pk]), driver.cluster_ids()


@pytest.mark.torture
@pytest.mark.parametrize(
    ("kind", "phase"), [(kind, phase) for kind, phases in PHASES.items() for phase in phases]
)
def test_a_worker_that_was_paused_past_its_lease_leaves_no_trace(
    kind: str,
    phase: str,
    prepare: Prepare,
    start_worker: StartWorker,
    run_worker: RunWorker,
    embedded: ClusterDriver,
) -> None:
    cluster = prepare(SCENARIOS[kind])
    paused = start_worker(stop_in=phase)
    stands_still = psutil.Process(paused.pid)
    wait_until(lambda: stands_still.status() == psutil.STATUS_STOPPED, "the worker stands still")
    assert run_worker() == 0
    before = the_world(embedded, cluster)
    paused.send_signal(signal.SIGCONT)
    assert paused.wait() == 0
    assert the_world(embedded, cluster) == before
    assert Task.objects.latest("pk").state == "SUCCEEDED"
