from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.scopes import (
    CREATE_CLUSTER,
    DELETE_CLUSTER,
    GET_CLUSTER,
    SCALE_CLUSTER,
)
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
FIELDS = {
    *("taskId", "serviceId", "clusterId", "taskType", "status", "progress", "phase", "message"),
    *("createdAt", "startedAt", "updatedAt", "finishedAt"),
}
SCOPES = [
    ("DEPLOYMENT", CREATE_CLUSTER),
    ("SCALING", SCALE_CLUSTER),
    ("VERSION_UPGRADE", SCALE_CLUSTER),
    ("RESTART", SCALE_CLUSTER),
    ("STOP", SCALE_CLUSTER),
    ("START", SCALE_CLUSTER),
    ("DELETION", DELETE_CLUSTER),
]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


def asked(api: Api, cluster: Cluster, verb: str) -> str:
    return str(api.post(f"/clusters/{cluster.cluster_id}/{verb}").header("Operation-Id"))


def tasks(cluster: Cluster, rest: str = "") -> str:
    return f"/clusters/{cluster.cluster_id}/task{rest}"


def test_what_waits_and_runs_is_in_progress_in_its_turn(api: Api, cluster: Cluster) -> None:
    first, second = asked(api, cluster, "restart"), asked(api, cluster, "stop")
    shown = api.get(tasks(cluster, "/in-progress"))["tasks"]
    assert [task["taskId"] for task in shown] == [first, second]


def test_a_task_shows_every_field(api: Api, cluster: Cluster) -> None:
    asked(api, cluster, "restart")
    (task,) = api.get(tasks(cluster, "/in-progress"))["tasks"]
    assert set(task) == FIELDS
    assert (task["serviceId"], task["clusterId"]) == (cluster.service_id, cluster.cluster_id)
    assert (task["status"], task["progress"], task["startedAt"]) == ("PENDING", 0, None)


def test_what_ended_is_in_the_history_newest_first(api: Api, cluster: Cluster, work: Work) -> None:
    restart = asked(api, cluster, "restart")
    work()
    assert api.get(tasks(cluster, "/in-progress"))["tasks"] == []
    said = api.get(tasks(cluster))
    assert [task["taskType"] for task in said["tasks"]] == ["RESTART", "DEPLOYMENT"]
    assert (said["total"], said["tasks"][0]["taskId"]) == (2, restart)


def test_the_history_is_paged(api: Api, cluster: Cluster) -> None:
    asked(api, cluster, "restart")
    said = api.get(tasks(cluster), page=2, pageSize=1)
    assert [task["taskType"] for task in said["tasks"]] == ["DEPLOYMENT"]
    assert said["total"] == 2


def test_one_task_tells_its_events(api: Api, cluster: Cluster) -> None:
    task_id = api.get(tasks(cluster))["tasks"][0]["taskId"]
    task = api.get(tasks(cluster, f"/{task_id}"))["task"]
    assert set(task) == FIELDS | {"events"}
    assert task["events"][-1]["status"] == "SUCCEEDED"
    assert set(task["events"][0]) == {"at", "attempt", "status", "progress", "phase", "message"}


def test_work_of_another_kind_is_no_task_of_the_cluster(api: Api, cluster: Cluster) -> None:
    Task.objects.create(
        task_id="job-1",
        organization_id=cluster.organization_id,
        kind="BACKUP",
        subject_id=cluster.cluster_id,
    )
    assert api.get(tasks(cluster))["total"] == 1
    assert api.get(tasks(cluster, "/in-progress"))["tasks"] == []
    assert api.get(tasks(cluster, "/job-1")).status == 404


def test_a_task_of_another_cluster_is_not_found(
    api: Api, cluster: Cluster, make_cluster: MakeCluster
) -> None:
    other = asked(api, make_cluster("other"), "restart")
    assert api.get(tasks(cluster, f"/{other}")).status == 404
    assert api.post(tasks(cluster, f"/{other}/cancel")).status == 404


def test_a_waiting_task_is_cancelled_at_once(api: Api, cluster: Cluster) -> None:
    task_id = asked(api, cluster, "restart")
    said = api.post(tasks(cluster, f"/{task_id}/cancel"))
    assert said["task"]["status"] == "CANCELLED"
    assert said.header("Operation-Id") == task_id


def test_what_has_ended_cannot_be_cancelled(api: Api, cluster: Cluster, work: Work) -> None:
    task_id = asked(api, cluster, "restart")
    work()
    assert api.post(tasks(cluster, f"/{task_id}/cancel")).code == "FAILED_PRECONDITION"


def test_a_cancelled_task_is_retried_as_a_new_one(api: Api, cluster: Cluster) -> None:
    task_id = asked(api, cluster, "restart")
    api.post(tasks(cluster, f"/{task_id}/cancel"))
    said = api.post(tasks(cluster, f"/{task_id}/retry"))
    assert said["task"]["taskType"] == "RESTART"
    assert said.header("Operation-Id") == said["task"]["taskId"] != task_id


def test_what_succeeded_is_not_retried(api: Api, cluster: Cluster, work: Work) -> None:
    task_id = asked(api, cluster, "restart")
    work()
    assert api.post(tasks(cluster, f"/{task_id}/retry")).code == "FAILED_PRECONDITION"


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize(("kind", "scope"), SCOPES)
def test_cancelling_and_retrying_need_the_scope_of_what_it_is_about(
    cluster: Cluster, key_with: Callable[..., Api], kind: str, scope: str, verb: str
) -> None:
    Task.objects.update(kind=kind)
    path = tasks(cluster, f"/{Task.objects.get().task_id}/{verb}")
    others = {GET_CLUSTER, *(each for _, each in SCOPES)} - {scope}
    assert key_with(*others).post(path).code == "PERMISSION_DENIED"
    assert key_with(scope).post(path).code == "FAILED_PRECONDITION"


def test_whoever_may_change_a_cluster_may_cancel_a_change(
    api: Api, cluster: Cluster, key_with: Callable[..., Api]
) -> None:
    path = tasks(cluster, f"/{asked(api, cluster, 'restart')}/cancel")
    assert key_with(SCALE_CLUSTER).post(path).status == 200


def test_a_task_in_the_body_must_be_that_of_the_address(api: Api, cluster: Cluster) -> None:
    task_id = asked(api, cluster, "restart")
    said = api.post(tasks(cluster, f"/{task_id}/cancel"), task_id="task-other")
    assert list(said.field_errors) == ["taskId"]
