"""Autoscaling acts by SCALING tasks within what people asked for, and never changes what they
asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import autoscale, services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, LoadSample
from clusters.resources import Resources, resources_of
from clusters.sweeps import sweep_load
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
BOUNDS = {"compute_units": 2, "enable_auto_scaling": True, "max_compute_units": 4}


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster(resources=BOUNDS)


@pytest.fixture
def under_load(cluster: Cluster, driver: MemoryDriver) -> Callable[[float], int]:
    """A sweep after six minutes of that load, long after the last step; answers the steps."""

    def sweep(share: float) -> int:
        Task.objects.filter(requested_by=autoscale.AUTOSCALER).update(
            finished_at=timezone.now() - timedelta(hours=1)
        )
        LoadSample.objects.all().delete()
        cores, now = _units(driver, cluster), timezone.now()
        for second in range(0, 351, 10):
            LoadSample.objects.create(
                cluster=cluster,
                at=now - timedelta(seconds=355 - second),
                cpu_seconds=second * cores * share,
                cores=cores,
            )
        driver.set_load(cluster.pk, cpu_seconds=355 * cores * share)
        return sweep_load()

    return sweep


def _units(driver: MemoryDriver, cluster: Cluster) -> int:
    with driver._store.opened() as clusters:
        return clusters[cluster.pk].compute_units


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def test_a_step_is_a_task_that_says_why(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    assert under_load(0.95) == 1
    task = Task.objects.latest("pk")
    assert (task.kind, task.requested_by) == ("SCALING", "autoscaling")
    assert "above 85% for 60 s" in task.events.get().message
    work()
    assert _units(driver, cluster) == 3


def test_what_a_person_asked_for_stays_what_it_was(
    cluster: Cluster, under_load: Callable[[float], int], work: Work
) -> None:
    under_load(0.95)
    work()
    assert now(cluster).compute_units == 2
    assert resources_of(now(cluster)).units == 3


def test_it_goes_down_to_what_was_asked_for_and_no_further(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    under_load(0.95)
    work()
    assert under_load(0.05) == 1
    work()
    assert _units(driver, cluster) == 2
    assert under_load(0.05) == 0


def test_it_goes_up_to_the_bound_and_no_further(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    for _ in range(3):
        under_load(0.95)
        work()
    assert _units(driver, cluster) == 4


def test_it_takes_no_step_beyond_what_the_machine_can_make_effective(
    cluster: Cluster,
    under_load: Callable[[float], int],
    driver: MemoryDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two_cores = dataclasses.replace(driver.capabilities, max_effective_cores=2)
    monkeypatch.setattr(driver, "capabilities", two_cores)
    assert under_load(0.95) == 0


def test_a_bound_that_a_person_lowers_holds_at_once(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    for _ in range(2):
        under_load(0.95)
        work()
    services.scale_cluster(cluster, changes={"max_compute_units": 2}, by="alice")
    work()
    assert (_units(driver, cluster), now(cluster).autoscaled_units) == (2, 2)
    services.scale_cluster(cluster, changes={"max_compute_units": 8}, by="alice")
    work()
    assert _units(driver, cluster) == 2


def test_switched_off_it_leaves_what_was_asked_for(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    under_load(0.95)
    work()
    services.scale_cluster(cluster, changes={"enable_auto_scaling": False}, by="alice")
    work()
    assert (_units(driver, cluster), now(cluster).autoscaled_units) == (2, 0)
    assert under_load(0.95) == 0


def test_a_restart_keeps_what_autoscaling_chose(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    under_load(0.95)
    work()
    services.restart_cluster(cluster, by="alice")
    work()
    assert _units(driver, cluster) == 3


def test_it_decides_nothing_while_a_change_is_under_way(
    cluster: Cluster, under_load: Callable[[float], int]
) -> None:
    services.restart_cluster(cluster, by="alice")
    assert under_load(0.95) == 0


def test_a_step_that_failed_is_not_tried_again_at_once(
    cluster: Cluster, under_load: Callable[[float], int], work: Work, driver: MemoryDriver
) -> None:
    driver.fail_next("scale", DriverError("no room", permanent=True))
    under_load(0.95)
    work()
    assert sweep_load() == 0


def test_a_cluster_that_cannot_be_measured_holds_nobody_up(
    cluster: Cluster, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(cluster_id: str) -> None:
        raise DriverError("no answer")

    monkeypatch.setattr(driver, "load", cannot)
    assert sweep_load() == 0


def test_only_what_scales_by_itself_is_measured(
    make_cluster: MakeCluster, cluster: Cluster, work: Work
) -> None:
    make_cluster("other")
    services.stop_cluster(make_cluster("third", resources=BOUNDS), by="alice")
    work()
    sweep_load()
    assert [sample.cluster_id for sample in LoadSample.objects.all()] == [cluster.pk]


def test_samples_are_kept_for_as_long_as_a_decision_looks_back(cluster: Cluster) -> None:
    old = timezone.now() - autoscale.SAMPLE_RETENTION - timedelta(seconds=1)
    LoadSample.objects.create(cluster=cluster, at=old, cpu_seconds=1, cores=2)
    sweep_load()
    assert LoadSample.objects.filter(at__lte=old).count() == 0


@pytest.mark.parametrize(
    ("chosen", "most", "on", "units"),
    [(0, 4, True, 2), (3, 4, True, 3), (3, 4, False, 2), (1, 4, True, 2)],
)
def test_the_units_are_what_was_asked_for_or_more(
    chosen: int, most: int, on: bool, units: int
) -> None:
    resources = Resources(
        version="1",
        compute_units=2,
        max_compute_units=most,
        autoscaled_units=chosen,
        enable_auto_scaling=on,
    )
    assert resources.units == units
