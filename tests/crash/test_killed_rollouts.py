"""kill -9 of a worker at every point of a rollout: the sweep begins the step that it did not."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from clusters import rollouts
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, Rollout
from tests.crash.processes import run_worker
from tests.tasks.trials import end_lease
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

OLD, NEW = "2.0.0", "2.1.0"


@pytest.mark.torture
def test_no_step_is_lost_or_begun_twice(
    make_cluster: Callable[..., Cluster],
    principal: Principal,
    directory: Path,
    shared: MemoryDriver,
) -> None:
    for point in count(1):
        names = (f"{point} first", f"{point} second")
        clusters = [make_cluster(name, resources={"version": OLD}) for name in names]
        rollout = rollouts.create_rollout(
            principal, cluster_ids=[cluster.pk for cluster in clusters], version=NEW
        )
        if (code := run_worker(directory, die_at=point)) == 0:
            break
        assert code == -signal.SIGKILL
        finish(rollout, directory)
        for cluster in clusters:
            cluster.refresh_from_db()
            upgrades = Task.objects.about(cluster.pk).filter(kind="VERSION_UPGRADE")
            assert (cluster.version, upgrades.count()) == (NEW, 1), f"killed at point {point}"
    assert point > 20


def finish(rollout: Rollout, directory: Path) -> None:
    """As sweeps and another worker do."""
    for _ in range(3):
        for task in Task.objects.filter(lease_until__isnull=False):
            end_lease(task)
        rollouts.advance_all()
        assert run_worker(directory) == 0
    rollout.refresh_from_db()
    assert rollout.state == "SUCCEEDED"
