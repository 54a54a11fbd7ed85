"""Changes that only the console stores, and the rotation of the token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.tasks.together import together
from tests.tasks.trials import end_pause
from vbase_console.core.errors import (
    Aborted,
    AlreadyExists,
    ConsoleError,
    FailedPrecondition,
    InvalidArgument,
    Unavailable,
)
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


def test_what_is_left_out_stays(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels={"team": "search"}, deletion_protection=True)
    changed = services.update_cluster(cluster, name="other")
    assert (changed.name, changed.labels) == ("other", {"team": "search"})
    assert changed.deletion_protection is True


def test_labels_are_replaced_as_a_whole(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels={"team": "search", "tier": "1"})
    assert services.update_cluster(cluster, labels={"tier": "2"}).labels == {"tier": "2"}


def test_a_name_that_another_one_has_is_refused(make_cluster: MakeCluster) -> None:
    make_cluster("first")
    with pytest.raises(AlreadyExists, match="Choose another name"):
        services.update_cluster(make_cluster("second"), name=" first ")


def test_of_many_that_want_a_name_at_once_one_gets_it(make_cluster: MakeCluster) -> None:
    clusters = [make_cluster(f"cluster {number}") for number in range(5)]

    def take(number: int) -> bool:
        try:
            return bool(services.update_cluster(clusters[number], name="wanted"))
        except ConsoleError:
            return False

    assert sum(together(5, take)) == 1


@pytest.mark.parametrize("name", ["", " ", "a" * 64, "slash/", "li\nne", "nul\x00", "ü"])
def test_a_name_that_cannot_be_one_is_refused(make_cluster: MakeCluster, name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        services.update_cluster(make_cluster(), name=name)
    assert list(refused.value.field_errors) == ["name"]


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"},
        {"k" * 64: "x"},
        {"k": "v" * 256},
        {"k": 7},
        {"k": None},
        {"k": "a\x00b"},
        {"k": "\ud800"},
        {"\udfff": "v"},
        {"\udfff" * 64: "v"},
        {str(number): "x" for number in range(65)},
    ],
)
def test_labels_that_cannot_be_kept_are_refused(
    make_cluster: MakeCluster, labels: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        services.update_cluster(make_cluster(), labels=labels)
    refused.value.message.encode()


def test_nothing_is_changed_of_a_cluster_on_its_way_out(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    with pytest.raises(Aborted):
        services.update_cluster(cluster, name="other")
    work()
    with pytest.raises(FailedPrecondition):
        services.update_cluster(cluster, name="other")


# -- the token -------------------------------------------------------------------------------------


def test_a_new_token_holds_at_once_and_alone(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    before = cluster.token
    after = services.rotate_token(cluster).token
    assert driver.accepts(cluster.pk, after)
    assert not driver.accepts(cluster.pk, before)


def test_where_the_cluster_does_not_take_it_nothing_has_changed(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    driver.fail_next("rotate", DriverError("no answer"))
    with pytest.raises(Unavailable, match="no answer"):
        services.rotate_token(cluster)
    assert driver.accepts(cluster.pk, Cluster.objects.get().token)


def test_a_stopped_cluster_takes_it_at_its_next_start(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    token = services.rotate_token(cluster).token
    services.start_cluster(cluster, by="alice")
    work()
    assert driver.accepts(cluster.pk, token)


def test_it_waits_for_a_job_that_has_read_the_old_token(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    task = services.restart_cluster(cluster, by="alice")
    attempt = claim(task.task_id, worker="w")
    assert attempt is not None
    with pytest.raises(Aborted, match=task.task_id) as refused:
        services.rotate_token(cluster)
    assert refused.value.retry_after_seconds == 5
    attempt.retry_later("Passing.")
    token = services.rotate_token(cluster).token
    end_pause(task)
    work()
    assert driver.accepts(cluster.pk, token)


def test_a_cluster_that_was_never_made_or_is_deleted_has_no_token_to_rotate(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster(running=False)
    with pytest.raises(FailedPrecondition, match="never deployed"):
        services.rotate_token(cluster)
    services.delete_cluster(cluster, by="alice")
    work()
    with pytest.raises(FailedPrecondition, match="DELETED"):
        services.rotate_token(cluster)
    assert Task.objects.active().count() == 0
