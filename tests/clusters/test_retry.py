"""A retry is a request like any other, and says what it repeats."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.tasks.together import together
from vbase_console.core.errors import Aborted, ConsoleError, FailedPrecondition
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import retry

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
REQUESTS: dict[str, Callable[[Cluster], object]] = {
    "scale": lambda c: services.scale_cluster(c, changes={"compute_units": 3}, by="alice"),
    "upgrade": lambda c: services.scale_cluster(c, changes={"version": "2.1.0"}, by="alice"),
    "restart": lambda c: services.restart_cluster(c, by="alice"),
    "stop": lambda c: services.stop_cluster(c, by="alice"),
    "delete": lambda c: services.delete_cluster(c, by="alice"),
}


@pytest.fixture
def failed(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> Callable[[str], tuple[Cluster, Task]]:
    def fail(operation: str) -> tuple[Cluster, Task]:
        cluster = make_cluster(resources={"version": "2.0.0"})
        driver.fail_next(operation, DriverError("no", permanent=True))
        REQUESTS[operation](cluster)
        work()
        task = Task.objects.latest("pk")
        assert task.state == "FAILED"
        return cluster, task

    return fail


@pytest.mark.parametrize("operation", REQUESTS)
def test_what_failed_is_asked_for_again(
    failed: Callable[[str], tuple[Cluster, Task]], work: Work, operation: str
) -> None:
    _, task = failed(operation)
    again = retry(task, by="bob")
    assert (again.kind, again.retry_of, again.requested_by) == (task.kind, task.task_id, "bob")
    assert again.arguments == task.arguments
    work()
    again.refresh_from_db()
    task.refresh_from_db()
    assert (again.state, task.state) == ("SUCCEEDED", "FAILED")


def test_a_failed_deployment_is_tried_again(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    driver.fail_next("create", DriverError("no", permanent=True))
    cluster = make_cluster()
    assert (cluster.status, "DEPLOYMENT failed" in cluster.status_message) == ("ERROR", True)
    retry(Task.objects.get(), by="bob")
    work()
    cluster.refresh_from_db()
    assert (cluster.status, cluster.status_message) == ("RUNNING", "")


def test_what_succeeded_or_still_runs_is_not_tried_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    waiting = services.restart_cluster(cluster, by="alice")
    for task in (Task.objects.get(kind="DEPLOYMENT"), waiting):
        with pytest.raises(FailedPrecondition, match="Only a failed or cancelled task"):
            retry(task, by="bob")


def test_of_many_retries_at_once_one_is_taken(
    failed: Callable[[str], tuple[Cluster, Task]],
) -> None:
    _, task = failed("restart")

    def ask(number: int) -> bool:
        try:
            return bool(retry(Task.objects.get(pk=task.pk), by="bob"))
        except ConsoleError:
            return False

    assert sum(together(8, ask)) == 1


def test_a_retry_that_failed_too_leaves_room_for_the_next(
    failed: Callable[[str], tuple[Cluster, Task]], driver: MemoryDriver, work: Work
) -> None:
    _, task = failed("scale")
    driver.fail_next("scale", DriverError("no", permanent=True))
    retry(task, by="bob")
    work()
    assert retry(task, by="bob").state == "PENDING"


def test_the_same_rules_hold_as_for_a_new_request(
    failed: Callable[[str], tuple[Cluster, Task]],
) -> None:
    cluster, task = failed("restart")
    services.delete_cluster(cluster, by="alice")
    with pytest.raises(Aborted):
        retry(task, by="bob")


def test_a_deletion_tried_again_still_deletes_the_backups_that_it_was_to_delete(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    driver.fail_next("delete", DriverError("no", permanent=True))
    services.delete_cluster(cluster, by="alice", delete_backups=True)
    work()
    asked: list[bool] = []
    monkeypatch.setattr(
        services,
        "before_delete",
        lambda c, *, delete_backups, **_: asked.append(delete_backups) or "",
    )
    retry(Task.objects.latest("pk"), by="bob")
    assert asked == [True]
