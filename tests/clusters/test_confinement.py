"""The health answer states the lowest confinement of the clusters that run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from clusters.driver import confinement
from clusters.drivers.base import Observation
from clusters.drivers.memory import MemoryDriver
from clusters.drivers.sandbox.process import Level
from clusters.models import Cluster
from clusters.sweeps import sweep_clusters
from vbase_console.core.component_health import Component, HealthStatus

pytestmark = pytest.mark.django_db

Offer = Callable[[Level], None]


@pytest.fixture
def cluster(make_cluster: Callable[[], Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def offer(driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Make the driver one that confines, on a kernel that offers this level."""

    def set_level(level: Level) -> None:
        offering = dataclasses.replace(driver.capabilities, confinement=level)
        monkeypatch.setattr(driver, "capabilities", offering)

    return set_level


def health() -> tuple[str, HealthStatus]:
    found = confinement()
    assert found is not None
    assert found.level is not None
    return found.level, found.status


def note(cluster: Cluster, level: Level) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(confinement=level)


def test_a_driver_that_confines_nothing_has_no_component() -> None:
    assert confinement() is None


def test_without_clusters_it_is_what_the_kernel_offers(offer: Offer) -> None:
    offer(Level.FULL)
    assert confinement() == Component(status=HealthStatus.SERVING, level="full")


def test_a_kernel_that_offers_less_degrades_with_a_reason(offer: Offer) -> None:
    offer(Level.FILES)
    found = confinement()
    assert found is not None
    assert (found.level, found.status) == ("files", HealthStatus.DEGRADED)
    assert found.message == "The kernel offers the confinement files to new clusters."


def test_what_a_process_reports_counts_and_not_what_the_kernel_offers(
    offer: Offer, cluster: Cluster
) -> None:
    offer(Level.FULL)
    note(cluster, Level.NONE)
    found = confinement()
    assert found is not None
    assert (found.level, found.status) == ("none", HealthStatus.DEGRADED)
    assert found.message.startswith("1 running clusters have only the confinement none.")


def test_the_answer_names_no_cluster(offer: Offer, cluster: Cluster) -> None:
    offer(Level.FULL)
    note(cluster, Level.FILES)
    found = confinement()
    assert found is not None
    assert cluster.cluster_id not in found.message
    assert cluster.name not in found.message.split()


def test_a_stopped_cluster_does_not_count(
    offer: Offer, cluster: Cluster, work: Callable[[], object]
) -> None:
    offer(Level.FULL)
    note(cluster, Level.NONE)
    Cluster.objects.filter(pk=cluster.pk).update(condition="STOPPED")
    assert health() == ("full", HealthStatus.SERVING)


def test_a_sweep_stores_what_the_process_reports(
    offer: Offer, cluster: Cluster, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = driver.observe

    def with_level(cluster_ids: Sequence[str]) -> dict[str, Observation]:
        seen = observe(cluster_ids).items()
        return {key: dataclasses.replace(each, confinement=Level.FILES) for key, each in seen}

    monkeypatch.setattr(driver, "observe", with_level)
    offer(Level.FULL)
    sweep_clusters()
    assert health() == ("files", HealthStatus.DEGRADED)
