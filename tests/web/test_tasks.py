from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.upgrades import BACKUPS
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from tests.web.test_live import OpenPage
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import TaskState

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


def kinds(answer: Any) -> list[str]:
    return [row.task.kind for row in answer.context["operations"]]


def test_the_history_filters_by_kind_and_state(make_cluster: MakeCluster, alices: Browser) -> None:
    services.stop_cluster(make_cluster(), by="alice")
    assert kinds(alices.open("operation-list")) == ["STOP", "DEPLOYMENT"]
    assert kinds(alices.open("operation-list", state="SUCCEEDED")) == ["DEPLOYMENT"]
    assert kinds(alices.open("operation-list", kind="STOP")) == ["STOP"]


def test_a_cluster_has_a_history_of_its_own(make_cluster: MakeCluster, alices: Browser) -> None:
    one, _ = make_cluster("one"), make_cluster("two")
    listed = alices.open("cluster-operation-list", one.pk).context["operations"]
    assert [row.cluster.name for row in listed] == ["one"]


def test_tasks_are_found_by_the_name_of_their_cluster(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    make_cluster("Products Search")
    make_cluster("two")
    listed = alices.open("operation-list", q="products").context["operations"]
    assert [row.cluster.name for row in listed] == ["Products Search"]


def test_tasks_are_sorted_by_the_name_of_their_cluster(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    make_cluster("b")
    make_cluster("a")
    listed = alices.open("operation-list", sort="cluster_name").context["operations"]
    assert [row.cluster.name for row in listed] == ["a", "b"]


def test_a_task_that_has_ended_is_in_no_phase(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster()
    Task.objects.update(phase="swapping")
    TaskEvent.objects.filter(state="SUCCEEDED").update(phase="swapping")
    content = alices.open("task-detail", Task.objects.get().task_id).content
    assert b"Swapping" not in content


def test_one_task_shows_its_events(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster()
    content = alices.open("task-detail", Task.objects.get().task_id).content.decode()
    assert "Requested by alice@example.com." in content
    assert "In memory: starting." in content


def test_a_task_polls_until_it_has_ended(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    make_cluster(running=False)
    address = alices.address("task-detail", Task.objects.get().task_id)
    assert b' data-busy=""' in alices.client.get(address).content
    page = OpenPage(alices.client, address)
    work()
    parts = page.ask().json()["parts"]
    assert ' data-busy=""' not in parts["task-progress"]
    assert "task-events" in parts


def test_a_waiting_task_is_cancelled(make_cluster: MakeCluster, alices: Browser) -> None:
    task = services.stop_cluster(make_cluster(), by="alice")
    alices.send("task-cancel", task.task_id)
    task.refresh_from_db()
    assert task.state == TaskState.CANCELLED
    assert AuditEntry.objects.get().object_id == task.task_id


def test_a_failed_task_is_tried_again(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    failed = fail_a_stop(cluster, driver, work)
    assert b'id="retry"' in alices.open("task-detail", failed.task_id).content
    alices.send("task-retry", failed.task_id)
    assert Task.objects.first().retry_of == failed.task_id


def test_a_retry_and_the_failed_task_show_the_same_story(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    failed = fail_a_stop(cluster, driver, work)
    assert alices.open("task-detail", failed.task_id).context["story"] == []
    again = services.retry_task(cluster, failed, by="alice")
    for task in (failed, again):
        story = alices.open("task-detail", task.task_id).context["story"]
        assert [step.task.task_id for step in story] == [failed.task_id, again.task_id]


def test_an_upgrade_shows_the_backups_that_it_waited_for(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    job = seed_job(seed_backup(cluster)).task
    upgrade = services.restart_cluster(cluster, by="alice")
    Task.objects.filter(pk=upgrade.pk).update(checkpoint={BACKUPS: [job.task_id]})
    page = alices.open("task-detail", upgrade.task_id)
    assert [step.task.kind for step in page.context["story"]] == ["BACKUP", "RESTART"]
    assert f"/o/acme/jobs/{job.task_id}" in page.content.decode()


def fail_a_stop(cluster: Cluster, driver: MemoryDriver, work: Work) -> Task:
    from clusters.drivers.base import DriverError

    driver.fail_next("stop", DriverError("The disk is full.", permanent=True))
    task = services.stop_cluster(cluster, by="alice")
    work()
    task.refresh_from_db()
    return task


def test_a_failure_is_on_the_overview_with_its_reason(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, work: Work
) -> None:
    fail_a_stop(make_cluster(), driver, work)
    assert b"The disk is full." in alices.open("overview").content


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_failure_that_was_tried_again_is_on_the_overview_no_more(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, work: Work, cancelled: bool
) -> None:
    failed = fail_a_stop(make_cluster(), driver, work)
    again = services.retry_task(Cluster.objects.get(), failed, by="alice")
    if cancelled:
        services.cancel_task(again, by="alice")
    work()
    shown = [row.task for row in alices.open("overview").context["failed"]]
    assert shown == ([failed] if cancelled else [])


def test_a_task_that_succeeded_is_not_tried_again(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    make_cluster()
    key = Task.objects.get().task_id
    assert b'id="retry"' not in alices.open("task-detail", key).content
    answer = alices.send("task-retry", key)
    assert answer.status_code == 400
    assert b"Only a failed or cancelled task" in answer.content


def test_a_deletion_is_not_cancelled(make_cluster: MakeCluster, alices: Browser) -> None:
    task, _ = services.delete_cluster(make_cluster(), by="alice")
    assert b'id="cancel"' not in alices.open("task-detail", task.task_id).content
    assert b"cannot be undone" in alices.send("task-cancel", task.task_id).content


def test_cancelling_needs_the_scope_of_what_is_cancelled(
    make_cluster: MakeCluster, alices: Browser, olgas: Browser, bobs: Browser
) -> None:
    task = services.stop_cluster(make_cluster(), by="alice")
    assert bobs.send("task-cancel", task.task_id).status_code == 403
    assert olgas.send("task-cancel", task.task_id).status_code == 302


def test_nobody_sees_the_tasks_of_others(
    make_cluster: MakeCluster, alices: Browser, charlies: Browser
) -> None:
    make_cluster()
    charlies.organization = "other"
    assert charlies.open("task-detail", Task.objects.get().task_id).status_code == 404
    assert kinds(charlies.open("operation-list")) == []


def test_an_empty_history_says_what_to_do_next(alices: Browser) -> None:
    assert b"Create a cluster" in alices.open("operation-list").content
