"""The same matrix on real clusters: real Milvus processes, real directories, real ports."""

from __future__ import annotations

import signal
from itertools import count
from typing import Any

import pytest

from clusters.drivers.base import ClusterDriver
from clusters.models import Cluster, KeptCopy
from tests.crash.embedded import NEW, OLD, SCENARIOS, Prepare, RunWorker
from tests.crash.embedded import embedded as embedded
from tests.crash.embedded import prepare as prepare
from tests.crash.embedded import run_worker as run_worker
from tests.crash.embedded import start_worker as start_worker
from tests.tasks.trials import end_lease
from vbase_console.tasks.models import Task


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_another_worker_finishes_what_a_killed_one_began(
    name: str, prepare: Prepare, run_worker: RunWorker, embedded: ClusterDriver
) -> None:
    scenario = SCENARIOS[name]
    cluster = prepare(scenario)
    assert run_worker(cancel_in=scenario.cancel_in) == 0
    expected = left_behind(embedded, cluster)
    for point in count(1):
        cluster = prepare(scenario)
        if (code := run_worker(point, scenario.cancel_in)) != -signal.SIGKILL:
            break
        for task in Task.objects.filter(lease_until__isnull=False):
            end_lease(task)
        assert run_worker(cancel_in=scenario.cancel_in) == 0
        assert left_behind(embedded, cluster) == expected, f"killed at point {point}"
    assert (code, point >= 6) == (0, True)


def left_behind(driver: ClusterDriver, cluster: Cluster) -> dict[str, Any]:
    """Return the row's state and the actual state. Removes the cluster for the next one."""
    row = Cluster.objects.get(pk=cluster.pk)
    seen = driver.observe([cluster.pk])[cluster.pk]
    left = {
        "task": list(Task.objects.values_list("kind", "state", "holds_lock").order_by("-pk")[:1]),
        "row": (row.status, row.condition, row.wanted_running, row.compute_units, bool(row.port)),
        "version": (row.version, embedded_version(driver, cluster)),
        "kept": list(KeptCopy.objects.filter(cluster=cluster).values_list("version", flat=True)),
        "copies": [version for version in (OLD, NEW) if driver.has_copy(cluster.pk, version)],
        "seen": (seen.presence, seen.effective_cores),
        "the row knows its port": seen.endpoint is None or seen.endpoint.port == row.port,
        "known": cluster.pk in driver.cluster_ids(),
    }
    list(driver.delete(cluster.pk, lambda: None))
    return left


def embedded_version(driver: ClusterDriver, cluster: Cluster) -> str:
    """Version of the running process, empty if none runs."""
    access = driver.console_access(cluster.pk)
    if access is None or access.control is None:
        return ""
    return str(access.control.call("Health")["version"])
