"""An upgrade keeps every row, and a failed or cancelled one puts the old version back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from clusters import services
from clusters.drivers import answers
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster, KeptCopy
from tests.upgrades.conftest import NEW, OLD, Connect
from tests.upgrades.content import OTHER_DATABASE, content, fill, keys, nearest, write_since
from vbase_console.core.errors import FailedPrecondition, InvalidArgument
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task

Finish = Callable[[Task], Task]


def upgrade(cluster: Cluster, *, backup_first: bool = False) -> Task:
    return services.scale_cluster(
        cluster, changes={"version": NEW}, by="alice", backup_first=backup_first
    )


def version_of(connect: Connect, cluster: Cluster) -> str:
    return str(connect(cluster).get_server_version())


def test_an_upgrade_keeps_everything_and_backs_it_up_first(
    cluster: Cluster, connect: Connect, finish: Finish
) -> None:
    client = connect(cluster)
    fill(client)
    before = content(client)
    task = finish(upgrade(cluster, backup_first=True))
    assert task.state == "SUCCEEDED", task.message
    client = connect(cluster)
    assert content(client) == before
    assert client.get_server_version().endswith(NEW)
    assert cluster.version == NEW
    assert set(Backup.objects.available().values_list("db_name", flat=True)) == {
        "default",
        OTHER_DATABASE,
    }
    write_since(client, 9000)
    assert nearest(client, 9000) == 9000


def test_a_version_that_answers_otherwise_is_left_again(
    cluster: Cluster, connect: Connect, finish: Finish, monkeypatch: pytest.MonkeyPatch,
    driver: EmbeddedDriver,
) -> None:  # fmt: skip
    client = connect(cluster)
    fill(client)
    before = content(client)
    monkeypatch.setattr(answers, "differences", lambda old, new: ["images: 3 rows instead of 4"])
    task = finish(upgrade(cluster))
    assert task.state == "FAILED"
    assert "3 rows instead of 4" in task.message
    client = connect(cluster)
    assert version_of(connect, cluster).endswith(OLD)
    assert content(client) == before
    write_since(client, 9000)
    assert (cluster.version, cluster.status) == (OLD, "UPDATE_FAILED")
    assert not any(driver.has_copy(cluster.pk, version) for version in (OLD, NEW))


def test_going_back_restores_the_old_rows(
    cluster: Cluster, connect: Connect, finish: Finish, driver: EmbeddedDriver
) -> None:
    client = connect(cluster)
    fill(client)
    before = keys(client)
    finish(upgrade(cluster))
    write_since(connect(cluster), 9000)
    task = finish(services.go_back(cluster, by="alice", backup_first=False))
    assert task.state == "SUCCEEDED", task.message
    assert version_of(connect, cluster).endswith(OLD)
    assert keys(connect(cluster)) == before
    assert (cluster.version, KeptCopy.objects.count()) == (OLD, 0)
    assert not any(driver.has_copy(cluster.pk, version) for version in (OLD, NEW))


PHASES = ["holding", "copying", "starting", "comparing"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancelled_upgrade_keeps_version_and_rows(
    cluster: Cluster, connect: Connect, finish: Finish, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    fill(connect(cluster))
    before = keys(connect(cluster))
    report = Attempt.report

    def cancelling(attempt: Attempt, percent: int, reported: str, message: str) -> None:
        if reported == phase:
            monkeypatch.setattr(Attempt, "report", report)
            services.cancel_task(Task.objects.get(pk=attempt.task.pk), by="alice")
        report(attempt, percent, reported, message)

    monkeypatch.setattr(Attempt, "report", cancelling)
    task = finish(upgrade(cluster))
    assert task.state == "CANCELLED", task.message
    assert version_of(connect, cluster).endswith(OLD)
    assert keys(connect(cluster)) == before
    write_since(connect(cluster), 9000)


def test_a_stopped_cluster_is_upgraded_and_stays_stopped(
    cluster: Cluster, connect: Connect, finish: Finish
) -> None:
    fill(connect(cluster))
    before = keys(connect(cluster))
    finish(services.stop_cluster(cluster, by="alice"))
    with pytest.raises(FailedPrecondition, match="backupFirst"):
        upgrade(cluster, backup_first=True)
    finish(upgrade(cluster))
    cluster.refresh_from_db()
    assert (cluster.status, cluster.version) == ("STOPPED", NEW)
    finish(services.start_cluster(cluster, by="alice"))
    assert version_of(connect, cluster).endswith(NEW)
    assert keys(connect(cluster)) == before
    write_since(connect(cluster), 9000)


def test_a_downgrade_is_refused_with_what_is_possible(cluster: Cluster) -> None:
    with pytest.raises(InvalidArgument) as refused:
        services.scale_cluster(cluster, changes={"version": "3.1.1"}, by="alice")
    assert "Possible upgrades: 3.2.2" in str(refused.value.field_errors)
