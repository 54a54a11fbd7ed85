"""A rollout upgrades several clusters one at a time, and stops at the first failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from clusters import rollouts, services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, Rollout
from clusters.states import RolloutState, StepState, rollout_state_of
from vbase_console.core.errors import (
    Aborted,
    ConsoleError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.signals import task_finished

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
OLD, NEW = "2.0.0", "2.1.0"


@pytest.fixture
def clusters(make_cluster: MakeCluster) -> list[Cluster]:
    return [make_cluster(name, resources={"version": OLD}) for name in ("one", "two", "three")]


@pytest.fixture
def roll_out(principal: Principal) -> Callable[..., Rollout]:
    def roll_out(clusters: list[Cluster], **options: Any) -> Rollout:
        ids = [cluster.pk for cluster in clusters]
        return rollouts.create_rollout(principal, cluster_ids=ids, **{"version": NEW, **options})

    return roll_out


RollOut = Callable[..., Rollout]


@pytest.fixture
def without_signal() -> Iterator[None]:
    """Every process ends between the commit of a task's end and the next step."""
    task_finished.disconnect(rollouts.continue_after)
    yield
    task_finished.connect(rollouts.continue_after)


def states(rollout: Rollout) -> list[str]:
    rollout.refresh_from_db()
    return list(rollout.steps.values_list("state", flat=True))


def versions(clusters: list[Cluster]) -> list[str]:
    by_id = Cluster.objects.in_bulk([cluster.pk for cluster in clusters])
    return [by_id[cluster.pk].version for cluster in clusters]


def upgrades() -> list[Task]:
    return list(Task.objects.filter(kind="VERSION_UPGRADE").order_by("pk"))


def fail_upgrades(driver: MemoryDriver) -> None:
    """Also the next attempts, because on a busy machine the first one may lose its lease."""
    for _ in range(3):
        driver.fail_next("upgrade", DriverError("The disk is full.", permanent=True))


def test_one_upgrade_is_requested_at_a_time_in_the_given_order(
    clusters: list[Cluster], roll_out: RollOut
) -> None:
    rollout = roll_out([clusters[1], clusters[0], clusters[2]])
    assert states(rollout) == ["RUNNING", "WAITING", "WAITING"]
    (task,) = upgrades()
    assert (task.subject_id, task.requested_by) == (clusters[1].pk, "alice@example.com")
    assert task.arguments["reason"] == f"Step 1 of {rollout.pk}."


def test_it_upgrades_all(clusters: list[Cluster], roll_out: RollOut, work: Work) -> None:
    rollout = roll_out(clusters)
    work()
    assert states(rollout) == ["SUCCEEDED"] * 3
    assert (rollout.state, versions(clusters)) == ("SUCCEEDED", [NEW] * 3)
    assert [task.subject_id for task in upgrades()] == [cluster.pk for cluster in clusters]


def test_it_stops_at_the_first_failure_and_names_the_rest(
    clusters: list[Cluster], roll_out: RollOut, work: Work, driver: MemoryDriver
) -> None:
    fail_upgrades(driver)
    rollout = roll_out(clusters)
    work()
    assert states(rollout) == ["FAILED", "NOT_BEGUN", "NOT_BEGUN"]
    assert (rollout.state, versions(clusters)) == ("FAILED", [OLD] * 3)
    assert "The disk is full." in rollout.steps.get(position=1).message
    said = rollouts.summary_of(rollout.steps.select_related("cluster"))
    assert said == "Upgraded: 0. Failed: one. Not begun: two, three."


def test_a_cancellation_leaves_the_running_upgrade_alone(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    rollout = roll_out(clusters)
    rollouts.cancel_rollout(rollout, by="bob")
    assert states(rollout) == ["RUNNING", "NOT_BEGUN", "NOT_BEGUN"]
    assert rollout.state == "RUNNING"
    work()
    assert (rollout.steps.get(position=1).state, versions(clusters)) == (
        "SUCCEEDED",
        [NEW, OLD, OLD],
    )
    rollout.refresh_from_db()
    assert rollout.state == "CANCELLED"


def test_a_rollout_without_waiting_steps_is_not_cancelled(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    rollout = roll_out(clusters[:1])
    with pytest.raises(FailedPrecondition, match="Cancel task-"):
        rollouts.cancel_rollout(rollout, by="bob")
    work()
    with pytest.raises(FailedPrecondition, match="already ended: SUCCEEDED"):
        rollouts.cancel_rollout(rollout, by="bob")


def test_a_cancelled_upgrade_stops_the_rollout(clusters: list[Cluster], roll_out: RollOut) -> None:
    rollout = roll_out(clusters)
    services.cancel_task(upgrades()[0], by="bob")
    assert states(rollout) == ["CANCELLED", "NOT_BEGUN", "NOT_BEGUN"]
    assert rollout.state == "CANCELLED"


def test_a_deletion_of_the_cluster_stops_the_rollout(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    rollout = roll_out(clusters)
    services.delete_cluster(clusters[1], by="alice")
    work()
    assert states(rollout) == ["SUCCEEDED", "FAILED", "NOT_BEGUN"]
    assert "DELET" in rollout.steps.get(position=2).message


def test_a_cluster_that_was_upgraded_meanwhile_is_done(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    rollout = roll_out(clusters[:2])
    Cluster.objects.filter(pk=clusters[1].pk).update(version=NEW)
    work()
    assert states(rollout) == ["SUCCEEDED"] * 2
    assert rollout.steps.get(position=2).task_id == ""


def test_a_process_that_is_killed_between_two_steps_loses_nothing(
    clusters: list[Cluster], roll_out: RollOut, work: Work, without_signal: None
) -> None:
    rollout = roll_out(clusters)
    work()
    assert states(rollout) == ["SUCCEEDED", "WAITING", "WAITING"]
    assert rollouts.advance_all() == 1
    rollouts.advance(rollout.pk)
    assert states(rollout) == ["SUCCEEDED", "RUNNING", "WAITING"]
    assert len(upgrades()) == 2


def test_a_full_queue_lets_the_step_wait(
    clusters: list[Cluster], roll_out: RollOut, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ORGANIZATION = 0
    rollout = roll_out(clusters)
    assert states(rollout) == ["WAITING"] * 3
    settings.MAX_WAITING_PER_ORGANIZATION = 10
    rollouts.advance_all()
    assert states(rollout)[0] == "RUNNING"


def test_sample_data_is_left_alone(clusters: list[Cluster], roll_out: RollOut) -> None:
    rollout = roll_out(clusters)
    rollout.organization.is_demo = True
    rollout.organization.save()
    assert rollouts.advance_all() == 0


def test_nothing_is_begun_if_one_cluster_cannot_be_upgraded(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    services.delete_cluster(clusters[0], by="alice")
    work()
    with pytest.raises(FailedPrecondition) as refused:
        roll_out(clusters)
    assert (
        str(refused.value)
        == f"{clusters[0].pk}: {clusters[0].pk} is DELETED. It cannot be changed."
    )
    assert not Rollout.objects.exists()


def test_an_unknown_version_is_named(clusters: list[Cluster], roll_out: RollOut) -> None:
    with pytest.raises(InvalidArgument, match="Version '9' is not available"):
        roll_out(clusters, version="9")


def test_a_cluster_is_part_of_one_unfinished_rollout(
    clusters: list[Cluster], roll_out: RollOut, work: Work
) -> None:
    first = roll_out(clusters)
    with pytest.raises(Aborted, match=f"{clusters[2].pk} is part of {first.pk}"):
        roll_out(clusters[2:])


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        (lambda ids: [], InvalidArgument),
        (lambda ids: ids * 2, InvalidArgument),
        (lambda ids: ["vc-unknown"], NotFound),
        (lambda ids: ["x"] * 201, InvalidArgument),
    ],
)
def test_a_wrong_choice_of_clusters_is_refused(
    clusters: list[Cluster],
    principal: Principal,
    chosen: Callable[[list[str]], list[str]],
    error: type[ConsoleError],
) -> None:
    with pytest.raises(error):
        rollouts.clusters_of(principal, chosen([cluster.pk for cluster in clusters]))


def test_clusters_of_a_stranger_are_not_found(clusters: list[Cluster], charlie: User) -> None:
    with pytest.raises(NotFound):
        rollouts.clusters_of(principal_of_member(charlie, "other"), [clusters[0].pk])


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: first.steps.filter(position=2).update(state="RUNNING", task_id="x"),
        lambda first, second: first.steps.filter(position=2).update(state="RUNNING"),
        lambda first, second: second.steps.update(cluster=first.steps.get(position=2).cluster),
        lambda first, second: second.steps.update(task_id=first.steps.get(position=1).task_id),
    ],
    ids=["two running steps", "running without a task", "a cluster twice", "a task twice"],
)
def test_the_database_refuses_what_must_never_happen(
    clusters: list[Cluster], roll_out: RollOut, change: Callable[[Rollout, Rollout], object]
) -> None:
    first, second = roll_out(clusters[:2]), roll_out(clusters[2:])
    with pytest.raises(IntegrityError), transaction.atomic():
        change(first, second)


def test_the_state_of_a_rollout_follows_from_its_steps() -> None:
    S, R = StepState, RolloutState  # noqa: N806
    assert rollout_state_of([S.SUCCEEDED, S.WAITING]) == R.RUNNING
    assert rollout_state_of([S.SUCCEEDED, S.SUCCEEDED]) == R.SUCCEEDED
    assert rollout_state_of([S.SUCCEEDED, S.FAILED, S.NOT_BEGUN]) == R.FAILED
    assert rollout_state_of([S.SUCCEEDED, S.CANCELLED, S.NOT_BEGUN]) == R.CANCELLED
    assert rollout_state_of([S.SUCCEEDED, S.NOT_BEGUN]) == R.CANCELLED
