"""kill -9 of a worker at every step of every job kind: another one finishes, and the world is as
after an undisturbed run.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.crash.processes import run_worker
from tests.crash.scenarios import PLAIN, SCENARIOS, Scenario, canceller, left_behind
from tests.tasks.trials import end_lease
from vbase_console.tasks.models import Task

LONG = ("SCALING", "VERSION_UPGRADE")
"""Their workers can die at more points than others, at points of the same kinds: in `make torture`,
below.
"""

MakeCluster = Callable[..., Cluster]
Prepare = Callable[[Scenario], Cluster]


@pytest.fixture
def prepare(make_cluster: MakeCluster, shared: MemoryDriver) -> Prepare:
    numbers = count(1)

    def prepare(scenario: Scenario) -> Cluster:
        """Every trial has the console and the driver for itself."""
        Task.objects.all().delete()
        Cluster.objects.all().delete()
        with shared._store.opened() as clusters:
            clusters.clear()
        cluster = make_cluster(
            f"trial {next(numbers)}", running=scenario.deployed, resources={"version": "2.0.0"}
        )
        scenario.prepare(cluster)
        scenario.ask(cluster)
        return cluster

    return prepare


def kills(scenario: Scenario, prepare: Prepare, directory: Path) -> Iterator[Cluster]:
    """One trial for every point at which a worker can die, until it comes through alive."""
    for point in count(1):
        cluster = prepare(scenario)
        code = run_worker(directory, die_at=point, at_step=canceller(scenario.cancel_in))
        if code == 0:
            return
        assert code == -signal.SIGKILL
        yield cluster


def undisturbed(
    scenario: Scenario, prepare: Prepare, directory: Path, shared: MemoryDriver
) -> dict[str, Any]:
    cluster = prepare(scenario)
    assert run_worker(directory, at_step=canceller(scenario.cancel_in)) == 0
    return _without_name(left_behind(shared, cluster))


@pytest.mark.parametrize(
    "name", [*(name for name in PLAIN if name not in LONG), "DEPLOYMENT cancelled"]
)
def test_another_worker_finishes_what_a_killed_one_began(
    name: str, prepare: Prepare, directory: Path, shared: MemoryDriver
) -> None:
    scenario = SCENARIOS[name]
    expected = undisturbed(scenario, prepare, directory, shared)
    trials = 0
    for cluster in kills(scenario, prepare, directory):
        for task in Task.objects.filter(lease_until__isnull=False):
            end_lease(task)
        assert run_worker(directory, at_step=canceller(scenario.cancel_in)) == 0
        assert _without_name(left_behind(shared, cluster)) == expected
        trials += 1
    assert trials >= 6


@pytest.mark.torture
@pytest.mark.parametrize("name", SCENARIOS)
def test_another_worker_waits_for_the_lease_to_end_and_finishes(
    name: str, prepare: Prepare, directory: Path, shared: MemoryDriver
) -> None:
    """The same without a take-over by the test: the lease has to expire."""
    scenario = SCENARIOS[name]
    expected = undisturbed(scenario, prepare, directory, shared)
    for cluster in kills(scenario, prepare, directory):
        assert run_worker(directory, at_step=canceller(scenario.cancel_in)) == 0
        assert _without_name(left_behind(shared, cluster)) == expected


def _without_name(left: dict[str, Any]) -> dict[str, Any]:
    return left | {"row": left["row"] | {"name": None}}
