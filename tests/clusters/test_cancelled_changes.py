"""A change that is cancelled brings back what was before; a deployment leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clusters import services
from clusters.drivers.base import DriverError, Presence, Progress
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.tasks.trials import end_lease, end_pause
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
Steps = Iterator[Progress]


@pytest.fixture
def cancel_at(driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Cancel the running task when the driver makes its n-th step from now."""

    def at(number: int) -> None:
        step, count = driver._step, iter(range(1, 1000))

        def counted(percent: int, phase: str) -> Progress:
            if next(count) == number:
                _cancel_what_runs()
            return step(percent, phase)

        monkeypatch.setattr(driver, "_step", counted)

    return at


def _cancel_what_runs() -> None:
    running = Task.objects.get(state="RUNNING")
    services.cancel_task(running, by="alice")


CHANGES: dict[str, Callable[[Cluster], Task]] = {
    "scaling": lambda c: services.scale_cluster(c, changes={"compute_units": 4}, by="alice"),
    "upgrade": lambda c: services.scale_cluster(c, changes={"version": "2.1.0"}, by="alice"),
    "restart": lambda c: services.restart_cluster(c, by="alice"),
    "stop": lambda c: services.stop_cluster(c, by="alice"),
}


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_cancelled_deployment_leaves_nothing(
    make_cluster: MakeCluster,
    work: Work,
    driver: MemoryDriver,
    cancel_at: Callable[[int], None],
    step: int,
) -> None:
    cluster = make_cluster(running=False)
    cancel_at(step)
    work()
    cluster.refresh_from_db()
    assert Task.objects.get().state == "CANCELLED"
    assert driver.cluster_ids() == []
    assert (cluster.status, cluster.condition, cluster.port) == ("ERROR", "ABSENT", None)
    assert "Retry it or delete the cluster" in cluster.status_message


def test_a_cancelled_deployment_can_be_tried_again(make_cluster: MakeCluster, work: Work) -> None:
    cluster = make_cluster(running=False)
    task = services.cancel_task(Task.objects.get(), by="alice")
    services.retry_task(cluster, task, by="alice")
    work()
    cluster.refresh_from_db()
    assert cluster.status == "RUNNING"


def test_a_deployment_cancelled_in_a_pause_leaves_nothing(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver
) -> None:
    """It had made the cluster, and then the database was away for a moment."""
    cluster = make_cluster(running=False)
    task = Task.objects.get()
    _make_and_pause(driver, task)
    assert driver.cluster_ids() == [cluster.cluster_id]
    services.cancel_task(task, by="alice")
    work()
    task.refresh_from_db()
    assert (task.state, driver.cluster_ids()) == ("CANCELLED", [])


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("change", CHANGES)
def test_a_cancelled_change_brings_back_what_was_before(
    make_cluster: MakeCluster,
    work: Work,
    driver: MemoryDriver,
    cancel_at: Callable[[int], None],
    change: str,
    step: int,
) -> None:
    cluster = make_cluster(resources={"version": "2.0.0"})
    before = _kept(driver, cluster)
    task = CHANGES[change](cluster)
    cancel_at(step)
    work()
    task.refresh_from_db()
    cluster.refresh_from_db()
    if task.state == "CANCELLED":
        assert _kept(driver, cluster) == before
        assert (cluster.status, cluster.version) == ("RUNNING", "2.0.0")
    assert task.is_finished


@pytest.mark.parametrize("ask", [services.start_cluster, services.restart_cluster])
def test_who_cancels_what_would_bring_it_up_leaves_it_stopped(
    make_cluster: MakeCluster,
    work: Work,
    driver: MemoryDriver,
    cancel_at: Callable[[int], None],
    ask: Callable[..., Task],
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    ask(cluster, by="alice")
    cancel_at(2)
    work()
    cluster.refresh_from_db()
    assert cluster.status == "STOPPED"
    assert driver.observe([cluster.pk])[cluster.pk].presence is Presence.STOPPED


@pytest.mark.parametrize("change", CHANGES)
def test_who_takes_over_from_a_dead_worker_brings_back_what_was_before(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver, change: str
) -> None:
    from vbase_console.tasks.attempts import claim

    cluster = make_cluster(resources={"version": "2.0.0"})
    before = _kept(driver, cluster)
    task = CHANGES[change](cluster)
    claim(task.task_id, worker="dead")
    half_done = {"compute_units": 4} if change == "scaling" else {"presence": Presence.STOPPED}
    driver._change(cluster.pk, **half_done)
    services.cancel_task(task, by="alice")
    end_lease(task)
    run_task(task.task_id)
    task.refresh_from_db()
    cluster.refresh_from_db()
    assert (task.state, cluster.status) == ("CANCELLED", "RUNNING")
    assert _kept(driver, cluster) == before


def test_a_failed_clean_up_is_tried_again(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver, cancel_at: Callable[[int], None]
) -> None:
    make_cluster(running=False)
    task = Task.objects.get()
    cancel_at(2)
    driver.fail_next("delete", DriverError("the disk is busy"))
    work()
    task.refresh_from_db()
    assert (task.state, task.holds_lock) == ("CANCELLING", True)
    end_lease(task)
    run_task(task.task_id)
    task.refresh_from_db()
    assert (task.state, driver.cluster_ids()) == ("CANCELLED", [])


def test_a_deletion_does_not_wait_for_the_clean_up(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart that hangs is stopped, and the cluster is not started before its removal."""
    cluster = make_cluster()
    services.restart_cluster(cluster, by="alice")
    step = driver._step
    started: list[str] = []

    def delete_while_starting(percent: int, phase: str) -> Progress:
        if phase == "starting" and phase not in started:
            services.delete_cluster(cluster, by="alice")
        started.append(phase)
        return step(percent, phase)

    monkeypatch.setattr(driver, "_step", delete_while_starting)
    work()
    cluster.refresh_from_db()
    assert cluster.status == "DELETED"
    assert started.count("starting") == 1


def _kept(driver: MemoryDriver, cluster: Cluster) -> dict[str, object]:
    with driver._store.opened() as clusters:
        kept = clusters[cluster.pk]
    fields = ("presence", "version", "compute_units", "token_sha256", "port")
    return {field: getattr(kept, field) for field in fields}


def _make_and_pause(driver: MemoryDriver, task: Task) -> None:
    driver_run = driver._run

    def run_and_fail(*arguments: object) -> Steps:
        yield from driver_run(*arguments)  # type: ignore[arg-type]
        raise DriverError("the answer got lost")

    driver._run = run_and_fail  # type: ignore[method-assign]
    run_task(task.task_id)
    del driver._run  # type: ignore[method-assign]
    end_pause(task)
