"""An upgrade keeps every row, and a failed or cancelled one puts the old version back."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.models import Backup
from clusters import services
from clusters.drivers import answers
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory
from clusters.models import Cluster, KeptCopy
from tests.upgrades.conftest import NEW, OLD, Connect
from tests.upgrades.content import (
    OTHER_DATABASE,
    content,
    fill,
    fill_some,
    keys,
    nearest,
    write_since,
)
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


def answers_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "differences", lambda old, new: ["images: 3 rows instead of 4"])


def disk_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is copied, the next one finds the disk full."""
    copy, copied = shutil.copyfile, []

    def fails_at_the_second(source: Path, target: Path) -> object:
        if copied:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copied.append(target)
        return copy(source, target)

    monkeypatch.setattr("clusters.drivers.embedded.copies.shutil.copyfile", fails_at_the_second)


FAILURES = {
    answers_otherwise: "3 rows instead of 4",
    disk_fills: "The data could not be copied: No space left on device.",
}


@pytest.mark.sqlite
def test_a_failed_upgrade_puts_version_and_data_back_and_says_why(
    cluster: Cluster, connect: Connect, finish: Finish, driver: EmbeddedDriver
) -> None:
    client = connect(cluster)
    fill(client)
    before = content(client)
    for fails, reason in FAILURES.items():
        with pytest.MonkeyPatch.context() as monkeypatch:
            fails(monkeypatch)
            task = finish(upgrade(cluster))
        assert task.state == "FAILED"
        assert reason in task.message
        assert task.message.endswith(f"Version {OLD} and its data were put back.")
        client = connect(cluster)
        assert client.get_server_version().endswith(OLD)
        assert content(client) == before
        assert (cluster.version, cluster.status) == (OLD, "UPDATE_FAILED")
        copies = ClusterDirectory(driver._data_dir, cluster.pk).copies
        assert list(copies.iterdir()) == []
    write_since(client, 9000)


def test_going_back_restores_the_old_rows(
    cluster: Cluster, connect: Connect, finish: Finish, driver: EmbeddedDriver
) -> None:
    client = connect(cluster)
    fill_some(client)
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


@pytest.mark.sqlite
def test_a_cancelled_upgrade_keeps_version_and_rows(
    cluster: Cluster, connect: Connect, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_some(connect(cluster))
    before = keys(connect(cluster))
    for phase in PHASES:
        cancel_in(phase, monkeypatch)
        task = finish(upgrade(cluster))
        assert (phase, task.state) == (phase, "CANCELLED"), task.message
        assert version_of(connect, cluster).endswith(OLD)
        assert keys(connect(cluster)) == before
    write_since(connect(cluster), 9000)


def cancel_in(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request the cancellation of the next task that reports the phase."""
    report = Attempt.report

    def cancelling(attempt: Attempt, percent: int, reported: str, message: str) -> None:
        if reported == phase:
            monkeypatch.setattr(Attempt, "report", report)
            services.cancel_task(Task.objects.get(pk=attempt.task.pk), by="alice")
        report(attempt, percent, reported, message)

    monkeypatch.setattr(Attempt, "report", cancelling)


@pytest.mark.sqlite
def test_a_stopped_cluster_is_upgraded_and_stays_stopped(
    cluster: Cluster, connect: Connect, finish: Finish
) -> None:
    fill_some(connect(cluster))
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
