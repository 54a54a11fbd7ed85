"""The same matrix on real clusters: real Milvus processes, real directories, real ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from clusters import hands
from clusters.drivers import load_driver
from clusters.drivers.base import ClusterDriver
from clusters.models import Cluster
from clusters.services import create_cluster
from tests.crash.processes import PATIENCE_SECONDS, database_of_this_test
from tests.crash.scenarios import PLAIN as ALL
from tests.crash.scenarios import Scenario
from tests.tasks.trials import end_lease
from vbase_console.encryption import derived_key
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

# There is one version of the embedded engine, so there is nothing to upgrade to.
PLAIN = {kind: scenario for kind, scenario in ALL.items() if kind != "VERSION_UPGRADE"}
RunWorker = Callable[[int], int]


@pytest.fixture
def embedded(tmp_path: Path, transactional_db: None) -> Iterator[ClusterDriver]:
    original = hands.load_driver
    driver = load_driver("embedded", data_dir=tmp_path, control_key=derived_key("cluster control"))
    hands.load_driver = lambda *a, **k: driver  # type: ignore[assignment]
    hands.get_driver.cache_clear()
    yield driver
    for cluster_id in driver.cluster_ids():
        list(driver.delete(cluster_id, lambda: None))
    hands.load_driver = original
    hands.get_driver.cache_clear()


@pytest.fixture
def run_worker(tmp_path: Path, embedded: ClusterDriver) -> RunWorker:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "vbase_console.settings.test",
        "VBASE_DATABASE_URL": database_of_this_test(),
        "VBASE_CLUSTER_DRIVER": "embedded",
        "VBASE_DATA_DIR": str(tmp_path),
        "VBASE_SECRET_KEY": settings.SECRET_KEY,
        "VBASE_LEASE_SECONDS": "5",
    }

    def run(die_at: int) -> int:
        command = [sys.executable, "-m", "tests.crash.embedded_worker", str(die_at)]
        return subprocess.run(command, env=environment, timeout=PATIENCE_SECONDS).returncode

    return run


@pytest.fixture
def prepare(principal: Principal, run_worker: RunWorker) -> Callable[[Scenario], Cluster]:
    numbers = count(1)

    def prepare(scenario: Scenario) -> Cluster:
        cluster, _ = create_cluster(principal, name=f"trial {next(numbers)}")
        if scenario.deployed:
            assert run_worker(0) == 0
        scenario.prepare(cluster)
        scenario.ask(cluster)
        return cluster

    return prepare


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", PLAIN)
def test_another_worker_finishes_what_a_killed_one_began(
    kind: str,
    prepare: Callable[[Scenario], Cluster],
    run_worker: RunWorker,
    embedded: ClusterDriver,
) -> None:
    cluster = prepare(PLAIN[kind])
    assert run_worker(0) == 0
    expected = left_behind(embedded, cluster)
    for point in count(1):
        cluster = prepare(PLAIN[kind])
        if run_worker(point) != -signal.SIGKILL:
            break
        for task in Task.objects.filter(lease_until__isnull=False):
            end_lease(task)
        assert run_worker(0) == 0
        assert left_behind(embedded, cluster) == expected, f"killed at point {point}"
    assert point >= 6


def left_behind(driver: ClusterDriver, cluster: Cluster) -> dict[str, Any]:
    """What the row says and what is there; the cluster then goes, to leave room for the next."""
    row = Cluster.objects.get(pk=cluster.pk)
    seen = driver.observe([cluster.pk])[cluster.pk]
    left = {
        "task": list(Task.objects.values_list("kind", "state", "holds_lock").order_by("-pk")[:1]),
        "row": (row.status, row.condition, row.wanted_running, row.compute_units, bool(row.port)),
        "seen": (seen.presence, seen.effective_cores),
        "the row knows its port": seen.endpoint is None or seen.endpoint.port == row.port,
        "known": cluster.pk in driver.cluster_ids(),
    }
    list(driver.delete(cluster.pk, lambda: None))
    return left
