"""One console with clusters of several drivers: each cluster is changed and observed by its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pymilvus import MilvusClient

from backups.services.backups import plan_backup
from clusters import driver as clusters_driver
from clusters import services
from clusters.drivers.base import ClusterDriver, DriverError, Presence
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.shutdown import stop_all
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.reconcile import UNKNOWN_AFTER
from clusters.sweeps import sweep_clusters
from tests.api.client import Api
from tests.api.fixtures import api, key_with
from vbase_console.core.errors import FailedPrecondition, InvalidArgument, Unavailable
from vbase_console.tasks.models import Task

__all__ = ["api", "key_with"]

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


@pytest.fixture
def embedded(driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedDriver]:
    """The embedded driver beside the memory driver, each under its own name."""
    directory = Path(tempfile.mkdtemp(prefix="vbase-drivers-"))
    own = EmbeddedDriver(directory, b"k" * 32)
    drivers: dict[str, ClusterDriver] = {"memory": driver, "embedded": own}

    def load(name: str, **options: Any) -> ClusterDriver:
        if name not in drivers:
            raise ValueError(f"There is no cluster driver {name!r}.")
        return drivers[name]

    monkeypatch.setattr(clusters_driver, "load_driver", load)
    clusters_driver.get_driver.cache_clear()
    yield own
    stop_all(directory, timeout_seconds=20)
    shutil.rmtree(directory)


@pytest.fixture
def in_memory(make_cluster: MakeCluster, embedded: EmbeddedDriver) -> Cluster:
    return make_cluster("in memory")


@pytest.fixture
def waiting(make_cluster: MakeCluster, in_memory: Cluster, settings: Any) -> Cluster:
    """A cluster of the embedded driver whose deployment has not begun."""
    settings.CLUSTER_DRIVER = "embedded"
    return make_cluster("embedded", running=False)


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def presence(driver: ClusterDriver, cluster: Cluster) -> Presence:
    return driver.observe([cluster.pk])[cluster.pk].presence


def test_a_cluster_runs_in_the_driver_that_was_configured_when_it_was_created(
    in_memory: Cluster, waiting: Cluster, embedded: EmbeddedDriver, driver: MemoryDriver, work: Work
) -> None:
    work()
    assert (now(in_memory).status, now(waiting).status) == ("RUNNING", "RUNNING")
    assert (driver.cluster_ids(), embedded.cluster_ids()) == ([in_memory.pk], [waiting.pk])
    cluster = now(waiting)
    client = MilvusClient(f"http://{cluster.host}:{cluster.port}", token=cluster.token)
    assert client.list_collections() == []
    client.close()


def test_stopping_one_cluster_leaves_the_other_drivers_cluster_running(
    in_memory: Cluster, waiting: Cluster, embedded: EmbeddedDriver, driver: MemoryDriver, work: Work
) -> None:
    work()
    services.stop_cluster(in_memory, by="alice")
    work()
    assert presence(driver, in_memory) is Presence.STOPPED
    assert presence(embedded, waiting) is Presence.RUNNING


def test_one_sweep_heals_the_clusters_of_both_drivers(
    in_memory: Cluster, waiting: Cluster, embedded: EmbeddedDriver, driver: MemoryDriver, work: Work
) -> None:
    work()
    driver.crash(in_memory.pk)
    list(embedded.stop(waiting.pk, lambda: None))
    assert sweep_clusters() == 2
    work()
    assert presence(driver, in_memory) is Presence.RUNNING
    assert presence(embedded, waiting) is Presence.RUNNING


def test_a_driver_that_cannot_observe_hides_only_its_own_clusters(
    in_memory: Cluster, waiting: Cluster, driver: MemoryDriver
) -> None:
    long_ago = timezone.now() - UNKNOWN_AFTER - timedelta(seconds=1)
    Cluster.objects.update(seen_at=long_ago)
    Cluster.objects.filter(pk=waiting.pk).update(condition="RUNNING")
    Task.objects.filter(subject_id=waiting.pk).delete()
    driver.fail_next("observe", DriverError("no answer"))
    sweep_clusters()
    assert now(in_memory).status == "UNKNOWN"
    assert now(waiting).condition == "BROKEN"


def test_a_cluster_of_a_driver_that_is_not_installed_is_unknown_and_says_why(
    in_memory: Cluster, make_cluster: MakeCluster
) -> None:
    other = make_cluster("other")
    long_ago = timezone.now() - UNKNOWN_AFTER - timedelta(seconds=1)
    Cluster.objects.filter(pk=in_memory.pk).update(driver="removed", seen_at=long_ago)
    sweep_clusters()
    assert now(in_memory).status == "UNKNOWN"
    assert "There is no cluster driver 'removed'." in now(in_memory).status_message
    assert now(other).status == "RUNNING"


def test_a_cluster_of_a_driver_that_is_not_installed_can_be_read_but_not_scaled(
    api: Api, in_memory: Cluster
) -> None:
    Cluster.objects.filter(pk=in_memory.pk).update(driver="removed")
    answer = api.get(f"/{in_memory.organization_id}/clusters/{in_memory.pk}")
    assert answer["configuration"]["settings"]["availableVersions"] == []
    with pytest.raises(FailedPrecondition, match="There is no cluster driver 'removed'"):
        services.scale_cluster(in_memory, changes={"compute_units": 2}, by="alice")


def test_an_orphan_is_reported_though_the_other_driver_has_a_cluster_of_that_id(
    in_memory: Cluster, driver: MemoryDriver, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Cluster.objects.filter(pk=in_memory.pk).update(driver="embedded")
    sweep_clusters()
    assert f"{in_memory.pk}: orphaned cluster, left unchanged" in caplog.messages


def test_a_cluster_is_offered_the_versions_of_its_own_driver(
    in_memory: Cluster, waiting: Cluster, work: Work
) -> None:
    services.scale_cluster(in_memory, changes={"version": "2.0.0"}, by="alice")
    with pytest.raises(InvalidArgument):
        services.scale_cluster(waiting, changes={"version": "2.0.0"}, by="alice")


def test_the_settings_on_the_wire_name_the_clusters_own_driver(
    api: Api, in_memory: Cluster, waiting: Cluster
) -> None:
    answers = [
        api.get(f"/{each.organization_id}/clusters/{each.pk}") for each in (in_memory, waiting)
    ]
    shown = [answer["configuration"]["settings"] for answer in answers]
    assert [settings["driver"] for settings in shown] == ["memory", "embedded"]
    assert "2.0.0" in shown[0]["availableVersions"]
    assert "2.0.0" not in shown[1]["availableVersions"]


def test_a_change_of_a_cluster_whose_driver_is_not_installed_fails_with_the_reason(
    in_memory: Cluster, work: Work
) -> None:
    task = services.restart_cluster(in_memory, by="alice")
    Cluster.objects.filter(pk=in_memory.pk).update(driver="removed")
    work()
    task.refresh_from_db()
    assert (task.state, "There is no cluster driver 'removed'." in task.message) == ("FAILED", True)


def test_a_backup_of_a_cluster_whose_driver_is_not_installed_is_refused_with_the_reason(
    in_memory: Cluster,
) -> None:
    Cluster.objects.filter(pk=in_memory.pk).update(driver="removed")
    with pytest.raises(Unavailable, match="There is no cluster driver 'removed'"):
        plan_backup(now(in_memory), collection_names=["images"])
