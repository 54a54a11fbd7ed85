"""A change of the version on the memory driver: order of the steps, refusals, going back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import kept_copies, protection, services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, KeptCopy
from clusters.upgrade_plans import plan_of
from tests.tasks.trials import end_pause
from vbase_console.core.errors import FailedPrecondition
from vbase_console.tasks.attempts import MAX_HELD_DELAY_SECONDS
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster(resources={"version": "2.0.0"})


def upgrade(cluster: Cluster) -> Task:
    return services.scale_cluster(cluster, changes={"version": "2.1.0"}, by="alice")


def held(driver: MemoryDriver, cluster: Cluster) -> bool:
    with driver._store.opened() as clusters:
        return clusters[cluster.pk].held


def test_an_upgrade_keeps_the_old_data_and_ends_the_hold(
    cluster: Cluster, work: Work, driver: MemoryDriver
) -> None:
    upgrade(cluster)
    work()
    kept = KeptCopy.objects.get()
    assert (kept.version, kept.expires_at - kept.created_at) == ("2.0.0", timedelta(hours=24))
    assert driver.has_copy(cluster.pk, "2.0.0")
    assert not held(driver, cluster)


@pytest.mark.parametrize("operation", ["hold", "keep_copy", "upgrade"])
def test_a_failed_step_puts_everything_back(
    cluster: Cluster, work: Work, driver: MemoryDriver, operation: str
) -> None:
    task = upgrade(cluster)
    driver.fail_next(operation, DriverError("no disk", permanent=True))
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.version) == ("FAILED", "2.0.0")
    assert "no disk" in task.message
    assert task.message.endswith("Version 2.0.0 and its data were put back.")
    assert not held(driver, cluster)
    assert not any(driver.has_copy(cluster.pk, version) for version in ("2.0.0", "2.1.0"))


def test_writes_are_refused_for_a_short_time_between_two_attempts(
    cluster: Cluster, work: Work, driver: MemoryDriver
) -> None:
    task = upgrade(cluster)
    Task.objects.filter(pk=task.pk).update(epoch=8, checkpoint={"last_progress_epoch": 8})
    driver.fail_next("upgrade", DriverError("busy"))
    work()
    task.refresh_from_db()
    assert (task.state, held(driver, cluster)) == ("PENDING", True)
    assert task.not_before - task.updated_at <= timedelta(seconds=MAX_HELD_DELAY_SECONDS)


def test_a_step_that_fails_after_the_point_of_no_return_is_repeated(
    cluster: Cluster, work: Work, driver: MemoryDriver
) -> None:
    task = upgrade(cluster)
    driver.fail_next("open", DriverError("busy", permanent=True))
    work()
    task.refresh_from_db()
    services.cancel_task(task, by="alice")
    end_pause(task)
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.version) == ("SUCCEEDED", "2.1.0")


def test_without_space_for_the_copy_nothing_is_changed(
    cluster: Cluster, work: Work, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusters.drivers.base import CopySize

    size = CopySize(total_bytes=10, needed_bytes=10 * 1024**2)
    monkeypatch.setattr(driver, "copy_size", lambda cluster_id: size)
    driver.set_free_bytes(cluster.pk, 1024**2)
    task = upgrade(cluster)
    work()
    task.refresh_from_db()
    assert task.state == "FAILED"
    assert "needs 10 MiB, and 1 MiB are free" in task.message


def test_going_back_is_possible_once(cluster: Cluster, work: Work) -> None:
    upgrade(cluster)
    work()
    services.go_back(cluster, by="alice")
    work()
    cluster.refresh_from_db()
    assert cluster.version == "2.0.0"
    with pytest.raises(FailedPrecondition, match="keeps no data"):
        services.go_back(cluster, by="alice")


def test_a_failed_return_keeps_the_newer_version_and_the_copy(
    cluster: Cluster, work: Work, driver: MemoryDriver
) -> None:
    upgrade(cluster)
    work()
    driver.fail_next("go_back", DriverError("no disk", permanent=True))
    task = services.go_back(cluster, by="alice")
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.version) == ("FAILED", "2.1.0")
    assert driver.has_copy(cluster.pk, "2.0.0")
    services.go_back(cluster, by="alice")
    work()
    cluster.refresh_from_db()
    assert cluster.version == "2.0.0"


def test_a_copy_is_removed_after_its_time(
    cluster: Cluster, work: Work, driver: MemoryDriver
) -> None:
    upgrade(cluster)
    work()
    assert kept_copies.remove_expired() == 0
    KeptCopy.objects.update(expires_at=timezone.now())
    assert kept_copies.remove_expired() == 1
    assert not driver.has_copy(cluster.pk, "2.0.0")
    with pytest.raises(FailedPrecondition, match="keeps no data"):
        services.go_back(cluster, by="alice")


def test_a_copy_is_not_removed_while_a_return_waits(cluster: Cluster, work: Work) -> None:
    upgrade(cluster)
    work()
    KeptCopy.objects.update(expires_at=timezone.now())
    services.go_back(cluster, by="alice")
    assert kept_copies.remove_expired() == 0


def test_the_plan_states_how_long_past_upgrades_took(
    make_cluster: MakeCluster, cluster: Cluster, work: Work
) -> None:
    assert plan_of(cluster).usual_seconds is None
    upgrade(make_cluster("other", resources={"version": "2.0.0"}))
    work()
    Task.objects.filter(kind="VERSION_UPGRADE").update(
        finished_at=Task.objects.get(kind="VERSION_UPGRADE").started_at + timedelta(seconds=9)
    )
    assert plan_of(cluster).usual_seconds == 9


@pytest.fixture
def in_place(driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A driver that stores rows and keeps no copies. Returns the databases that are backed up."""
    other = dataclasses.replace(driver.capabilities, keeps_copies=False, stores_rows=True)
    monkeypatch.setattr(driver, "capabilities", other)
    backed_up: list[str] = []

    def back_up(cluster: Cluster, databases: list[str], *, by: str) -> list[str]:
        backed_up.extend(databases)
        return []

    monkeypatch.setattr(protection, "databases_with_rows", lambda cluster: ["default"])
    monkeypatch.setattr(protection, "back_up", back_up)
    return backed_up


def test_a_driver_without_copies_is_upgraded_after_a_backup(
    cluster: Cluster, work: Work, in_place: list[str]
) -> None:
    task = upgrade(cluster)
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.version, in_place) == ("SUCCEEDED", "2.1.0", ["default"])
    assert not KeptCopy.objects.exists()


def test_a_driver_without_copies_gets_the_old_version_back_after_a_failure(
    cluster: Cluster, work: Work, driver: MemoryDriver, in_place: list[str]
) -> None:
    task = upgrade(cluster)
    driver.fail_next("upgrade", DriverError("no image", permanent=True))
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.version) == ("FAILED", "2.0.0")
    with driver._store.opened() as clusters:
        assert clusters[cluster.pk].version == "2.0.0"


def test_a_version_that_is_not_shipped_any_more_is_kept_when_the_cluster_is_scaled(
    cluster: Cluster, work: Work, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = dataclasses.replace(driver.capabilities, versions=("2.1.0",))
    monkeypatch.setattr(driver, "capabilities", newer)
    monkeypatch.setattr(driver, "validate", lambda spec: None)
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    work()
    cluster.refresh_from_db()
    assert (cluster.version, cluster.compute_units) == ("2.0.0", 2)
    assert not plan_of(cluster).is_shipped
