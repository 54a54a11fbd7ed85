"""Availability by day: what the observation sweep counts, and what it never calls available."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters import availability, services
from clusters.availability import Availability, Cell, ObservedAvailability
from clusters.drivers.base import DriverError, Observation, Presence
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, ClusterDay
from clusters.sweeps import sweep_clusters, sweep_metrics
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
INTERVAL = timedelta(seconds=10)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    """A running cluster that was observed once."""
    cluster = make_cluster()
    sweep_clusters()
    return cluster


def later(clock: time_machine.Traveller, duration: timedelta = INTERVAL) -> None:
    """Move the clock, and observe."""
    clock.shift(duration)
    sweep_clusters()


def seconds() -> dict[str, float]:
    """Seconds of all days by what was found."""
    rows = ClusterDay.objects.values_list(*Availability)
    sums = [sum(column) for column in zip(*rows, strict=True)]
    return {
        found.removesuffix("_seconds"): total
        for found, total in zip(Availability, sums, strict=True)
        if total
    }


def cell_of(cluster: Cluster) -> Cell:
    cluster.refresh_from_db()
    return availability.days_of([cluster])[cluster.pk][-1].cell


def test_the_time_between_two_observations_counts(
    cluster: Cluster, clock: time_machine.Traveller
) -> None:
    later(clock)
    later(clock)
    assert seconds() == {"available": 20}


def test_a_crash_and_its_recovery_are_an_interruption(
    cluster: Cluster, clock: time_machine.Traveller, driver: MemoryDriver, work: Work
) -> None:
    later(clock)
    driver.crash(cluster.pk)
    later(clock)
    work()
    later(clock)
    assert seconds() == {"available": 20, "interrupted": 10}
    assert ClusterDay.objects.get().cause == "The Milvus process crashed."
    assert cell_of(cluster) is Cell.INTERRUPTED


def test_a_cluster_that_never_comes_back_is_down(
    cluster: Cluster, clock: time_machine.Traveller, driver: MemoryDriver
) -> None:
    driver.crash(cluster.pk)
    later(clock)
    later(clock)
    assert (seconds(), cell_of(cluster)) == ({"interrupted": 20}, Cell.DOWN)


def test_a_cluster_stopped_on_purpose_is_not_down(
    cluster: Cluster, clock: time_machine.Traveller, work: Work
) -> None:
    services.stop_cluster(cluster, by="alice")
    work()
    later(clock)
    assert (seconds(), cell_of(cluster)) == ({"stopped": 10}, Cell.STOPPED)


def test_a_cluster_that_is_being_stopped_is_not_down(
    cluster: Cluster, clock: time_machine.Traveller, driver: MemoryDriver
) -> None:
    services.stop_cluster(cluster, by="alice")
    driver._change(cluster.pk, presence=Presence.STOPPED)
    later(clock)
    assert seconds() == {"stopped": 10}


@pytest.mark.parametrize(("silent_seconds", "found"), [(20, "available"), (40, "interrupted")])
def test_a_busy_cluster_is_available_until_its_status_says_otherwise(
    cluster: Cluster,
    clock: time_machine.Traveller,
    driver: MemoryDriver,
    silent_seconds: int,
    found: str,
) -> None:
    driver._change(cluster.pk, presence=Presence.STARTING)
    later(clock, timedelta(seconds=silent_seconds))
    assert seconds() == {found: silent_seconds}


def test_a_cluster_that_starts_again_after_a_crash_is_not_called_busy(
    cluster: Cluster, clock: time_machine.Traveller, driver: MemoryDriver
) -> None:
    driver.crash(cluster.pk)
    later(clock)
    driver._change(cluster.pk, presence=Presence.STARTING)
    later(clock)
    assert seconds() == {"interrupted": 20}
    assert ClusterDay.objects.get().cause == "The Milvus process crashed."


def test_three_days_without_the_console_are_no_data(
    cluster: Cluster, clock: time_machine.Traveller
) -> None:
    later(clock, timedelta(days=3))
    later(clock)
    assert seconds() == {"available": 10}
    cells = [day.cell for day in availability.days_of([cluster])[cluster.pk]]
    assert cells[-4:] == [Cell.UNKNOWN, Cell.UNKNOWN, Cell.UNKNOWN, Cell.PARTLY]


def test_a_cluster_that_cannot_be_observed_has_no_data(
    cluster: Cluster, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ids: object) -> None:
        raise DriverError("The driver does not answer.", permanent=False)

    monkeypatch.setattr(MemoryDriver, "observe", lambda self, ids: fail(ids))
    later(clock, timedelta(minutes=2))
    assert (seconds(), cell_of(cluster)) == ({}, Cell.UNKNOWN)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_is_set_adds_nothing_and_goes_on(
    cluster: Cluster, clock: time_machine.Traveller, jump: timedelta
) -> None:
    later(clock, jump)
    assert seconds() == {}
    later(clock)
    assert seconds() == {"available": 10}


def test_a_clock_that_is_set_back_over_midnight_goes_on(
    cluster: Cluster, clock: time_machine.Traveller
) -> None:
    later(clock, timedelta(days=-1))
    later(clock)
    later(clock, timedelta(days=1, hours=1))
    later(clock)
    assert seconds() == {"available": 20}


def test_midnight_divides_the_time(cluster: Cluster, clock: time_machine.Traveller) -> None:
    clock.move_to(NOON.replace(hour=23, minute=59, second=56))
    sweep_clusters()
    later(clock)
    rows = ClusterDay.objects.values_list("day__day", "available_seconds")
    assert list(rows) == [(2, 4), (3, 6)]


def test_an_observation_of_another_sweeper_is_not_counted_twice(
    cluster: Cluster, clock: time_machine.Traveller
) -> None:
    later(clock)
    found = {cluster.pk: ObservedAvailability(found=Availability.AVAILABLE)}
    stale = {cluster.pk: NOON}
    availability._add(NOON.date(), found, stale, NOON + INTERVAL)
    assert seconds() == {"available": 10}


def test_many_clusters_cost_as_many_statements_as_one(
    cluster: Cluster, make_cluster: MakeCluster, clock: time_machine.Traveller
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            later(clock)
        return len(captured)

    one = cost()
    for number in range(5):
        make_cluster(f"another{number}")
    later(clock)
    later(clock)
    assert cost() == one


def test_the_days_before_a_cluster_was_created_did_not_exist(cluster: Cluster) -> None:
    days = availability.days_of([cluster])[cluster.pk]
    assert {day.cell for day in days[:-1]} == {Cell.ABSENT}
    assert days[-1].cell is Cell.UNKNOWN


def test_the_days_after_its_deletion_do_not_exist(
    cluster: Cluster, clock: time_machine.Traveller, work: Work
) -> None:
    services.delete_cluster(cluster, by="alice")
    work()
    later(clock, timedelta(days=2))
    cluster.refresh_from_db()
    assert Task.objects.filter(state="FAILED").count() == 0
    assert availability.days_of([cluster])[cluster.pk][-1].cell is Cell.ABSENT


def test_old_days_are_removed(cluster: Cluster, clock: time_machine.Traveller) -> None:
    clock.shift(timedelta(days=availability.SHOWN_DAYS - 1))
    sweep_metrics()
    assert ClusterDay.objects.exists()
    clock.shift(timedelta(days=1))
    sweep_metrics()
    assert not ClusterDay.objects.exists()


def test_a_percent_is_rounded_down_so_that_no_interruption_is_a_hundred() -> None:
    day = availability.ObservedDay(
        day=NOON.date(), cell=Cell.INTERRUPTED, available_seconds=1e6, interrupted_seconds=1
    )
    assert availability.percent_of([day]) == 99.99
    assert availability.percent_of([]) is None


def test_an_unreachable_server_is_interrupted_with_its_reason(
    cluster: Cluster, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Observation(presence=Presence.UNREACHABLE, message="Connection refused.")
    monkeypatch.setattr(MemoryDriver, "observe", lambda self, ids: dict.fromkeys(ids, lost))
    later(clock)
    assert seconds() == {"interrupted": 10}
    assert ClusterDay.objects.get().cause == "Connection refused."
