"""Requests that wait and requests that are refused: `clusters.states`, pair by pair."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.admission import require_running
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.states import Admission, TaskKind, admission
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
K = TaskKind

REQUESTS: dict[TaskKind, Callable[[Cluster], Task]] = {
    K.SCALING: lambda c: services.scale_cluster(c, changes={"compute_units": 7}, by="alice"),
    K.VERSION_UPGRADE: lambda c: services.scale_cluster(
        c, changes={"version": "2.1.0"}, by="alice"
    ),
    K.RESTART: lambda c: services.restart_cluster(c, by="alice"),
    K.STOP: lambda c: services.stop_cluster(c, by="alice"),
    K.START: lambda c: services.start_cluster(c, by="alice"),
    K.DELETION: lambda c: services.delete_cluster(c, by="alice")[0],
}
REFUSED_BY_OUTLOOK = {
    (K.SCALING, K.SCALING),
    (K.VERSION_UPGRADE, K.VERSION_UPGRADE),
    (K.STOP, K.STOP),
    (K.START, K.START),
    (K.START, K.DEPLOYMENT),
    (K.START, K.RESTART),
    (K.START, K.SCALING),
    (K.START, K.VERSION_UPGRADE),
}


@pytest.fixture
def with_unfinished(make_cluster: MakeCluster, work: Work) -> Callable[[TaskKind], Cluster]:
    """A cluster on which one task of that kind waits."""

    def make(kind: TaskKind) -> Cluster:
        if kind is K.DEPLOYMENT:
            return make_cluster(running=False, resources={"version": "2.0.0"})
        cluster = make_cluster(resources={"version": "2.0.0"})
        if kind is K.START:
            services.stop_cluster(cluster, by="alice")
            work()
        REQUESTS[kind](cluster)
        cluster.refresh_from_db()
        return cluster

    return make


@pytest.mark.parametrize("unfinished", list(K))
@pytest.mark.parametrize("requested", list(REQUESTS))
def test_each_request_meets_each_unfinished_task_as_the_table_says(
    with_unfinished: Callable[[TaskKind], Cluster], requested: TaskKind, unfinished: TaskKind
) -> None:
    cluster = with_unfinished(unfinished)
    there = Task.objects.latest("pk")
    answer = admission(requested, unfinished)
    if answer is Admission.ABORT:
        with pytest.raises(Aborted, match=there.task_id):
            REQUESTS[requested](cluster)
    elif (requested, unfinished) in REFUSED_BY_OUTLOOK:
        with pytest.raises(FailedPrecondition, match=there.task_id):
            REQUESTS[requested](cluster)
    else:
        _is_accepted(cluster, requested, there, answer)


def _is_accepted(cluster: Cluster, requested: TaskKind, there: Task, answer: Admission) -> None:
    task = REQUESTS[requested](cluster)
    there.refresh_from_db()
    overtaken = answer is Admission.OVERTAKE
    assert there.state == ("CANCELLED" if overtaken else "PENDING")
    assert Task.objects.ready().get() == (task if overtaken else there)


def test_a_running_task_is_asked_to_stop_by_a_deletion(make_cluster: MakeCluster) -> None:
    from vbase_console.tasks.attempts import claim

    cluster = make_cluster()
    restart = services.restart_cluster(cluster, by="alice")
    claim(restart.task_id, worker="w")
    services.delete_cluster(cluster, by="alice")
    restart.refresh_from_db()
    assert restart.state == "CANCELLING"
    assert Task.objects.ready().count() == 0


def test_a_stopped_cluster_is_not_stopped_again(make_cluster: MakeCluster, work: Work) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    with pytest.raises(FailedPrecondition, match="is already stopped"):
        services.stop_cluster(cluster, by="alice")


def test_a_restart_behind_a_stop_brings_the_cluster_back(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    services.restart_cluster(cluster, by="alice")
    work()
    cluster.refresh_from_db()
    assert (cluster.status, cluster.wanted_running) == ("RUNNING", True)


@pytest.mark.parametrize("unfinished", [None, *(kind for kind in K if kind is not K.DELETION)])
def test_only_behind_a_stop_nothing_can_count_on_a_running_cluster(
    make_cluster: MakeCluster,
    with_unfinished: Callable[[TaskKind], Cluster],
    unfinished: TaskKind | None,
) -> None:
    cluster = with_unfinished(unfinished) if unfinished else make_cluster()
    if unfinished is not K.STOP:
        require_running(cluster, "BACKUP")
        return
    with pytest.raises(FailedPrecondition, match=Task.objects.latest("pk").task_id):
        require_running(cluster, "BACKUP")


def test_a_stop_that_is_being_cancelled_is_in_nobodys_way(make_cluster: MakeCluster) -> None:
    from vbase_console.tasks.attempts import claim

    cluster = make_cluster()
    stop = services.stop_cluster(cluster, by="alice")
    claim(stop.task_id, worker="w")
    services.cancel_task(stop, by="alice")
    cluster.refresh_from_db()
    require_running(cluster, "BACKUP")


def test_a_cluster_on_its_way_out_takes_nothing_of_other_apps(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    deletion, _ = services.delete_cluster(cluster, by="alice")
    cluster.refresh_from_db()
    with pytest.raises(Aborted, match=f"{deletion.task_id} .DELETION. blocks BACKUP"):
        require_running(cluster, "BACKUP")


@pytest.mark.parametrize("change", [K.SCALING, K.VERSION_UPGRADE, K.RESTART])
def test_a_broken_cluster_can_be_counted_on_once_a_change_will_bring_it_up(
    make_cluster: MakeCluster, change: TaskKind
) -> None:
    cluster = make_cluster(resources={"version": "2.0.0"})
    Cluster.objects.update(condition="BROKEN", status="ERROR")
    cluster.refresh_from_db()
    with pytest.raises(FailedPrecondition, match="must be RUNNING"):
        require_running(cluster, "BACKUP")
    REQUESTS[change](cluster)
    cluster.refresh_from_db()
    require_running(cluster, "BACKUP")


def test_nothing_can_count_on_a_cluster_that_was_never_made(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver
) -> None:
    driver.fail_next("create", DriverError("no disk", permanent=True))
    cluster = make_cluster()
    with pytest.raises(FailedPrecondition, match="never deployed"):
        require_running(cluster, "BACKUP")


def test_a_running_cluster_is_not_started(make_cluster: MakeCluster) -> None:
    with pytest.raises(FailedPrecondition, match="is already running"):
        services.start_cluster(make_cluster(), by="alice")


@pytest.mark.parametrize("changes", [{"compute_units": 1}, {}, {"version": None}])
def test_it_refuses_to_scale_to_what_there_is(
    make_cluster: MakeCluster, changes: dict[str, object]
) -> None:
    with pytest.raises(FailedPrecondition, match="has these resources"):
        services.scale_cluster(make_cluster(), changes=changes, by="alice")


def test_it_takes_a_change_back_to_what_was_before_the_one_that_waits(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster()
    for units in (2, 1):
        services.scale_cluster(cluster, changes={"compute_units": units}, by="alice")
    work()
    cluster.refresh_from_db()
    assert cluster.compute_units == 1


@pytest.mark.parametrize("kind", list(REQUESTS))
def test_a_deleted_cluster_takes_nothing(
    make_cluster: MakeCluster, work: Work, kind: TaskKind
) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    work()
    with pytest.raises(FailedPrecondition, match="DELETED"):
        REQUESTS[kind](cluster)


def test_a_protected_cluster_is_not_deleted_until_protection_is_off(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster(deletion_protection=True)
    with pytest.raises(FailedPrecondition, match="Switch deletion protection off"):
        services.delete_cluster(cluster, by="alice")
    services.update_cluster(cluster, deletion_protection=False)
    assert services.delete_cluster(cluster, by="alice")[0].kind == "DELETION"


def test_a_deletion_cannot_be_cancelled(make_cluster: MakeCluster) -> None:
    task, _ = services.delete_cluster(make_cluster(), by="alice")
    with pytest.raises(FailedPrecondition, match="cannot be undone"):
        services.cancel_task(task, by="alice")


@pytest.mark.parametrize("kind", [kind for kind in REQUESTS if kind is not K.DELETION])
def test_a_cluster_that_was_never_made_can_only_be_tried_again_or_deleted(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver, kind: TaskKind
) -> None:
    driver.fail_next("create", DriverError("no disk", permanent=True))
    cluster = make_cluster(resources={"version": "2.0.0"})
    assert cluster.status == "ERROR"
    with pytest.raises(FailedPrecondition, match="never deployed"):
        REQUESTS[kind](cluster)


def test_nothing_waits_behind_a_deployment_that_is_being_cancelled(
    make_cluster: MakeCluster,
) -> None:
    from vbase_console.tasks.attempts import claim

    cluster = make_cluster(running=False)
    task = Task.objects.get()
    claim(task.task_id, worker="w")
    services.cancel_task(task, by="alice")
    with pytest.raises(FailedPrecondition, match="never deployed"):
        services.restart_cluster(cluster, by="alice")


def test_what_waited_behind_a_cancelled_deployment_makes_no_cluster(
    make_cluster: MakeCluster, work: Work, driver: MemoryDriver
) -> None:
    cluster = make_cluster(running=False)
    waiting = services.restart_cluster(cluster, by="alice")
    services.cancel_task(Task.objects.get(kind="DEPLOYMENT"), by="alice")
    work()
    waiting.refresh_from_db()
    assert (waiting.state, driver.cluster_ids()) == ("FAILED", [])
