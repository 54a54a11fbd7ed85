"""Actions on several rows of a list, with one confirmation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backups.models import Backup, BackupJob
from backups.states import JobKind
from clusters import services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def backups(cluster: Cluster) -> list[Backup]:
    return [seed_backup(cluster, name) for name in ("one", "two", "pinned")]


def ids(rows: list[Backup]) -> dict[str, Any]:
    return {"id": [row.pk for row in rows]}


def entries() -> set[tuple[str, str, str]]:
    return set(AuditEntry.objects.values_list("action", "object_id", "outcome"))


def test_it_names_the_selected_rows_before_it_acts(backups: list[Backup], alices: Browser) -> None:
    content = alices.open("backup-bulk-verify", **ids(backups[:2])).content.decode()
    assert "<h1>Verify 2 backups</h1>" in content
    assert "<li>one<" in content
    assert "<li>pinned<" not in content
    assert not BackupJob.objects.exists()
    assert not AuditEntry.objects.exists()


def test_it_verifies_each_and_audits_each(backups: list[Backup], alices: Browser) -> None:
    answer = alices.send("backup-bulk-verify", **ids(backups[:2]))
    assert answer.url == alices.address("operation-list")
    assert set(BackupJob.objects.values_list("job_type", "backup__name")) == {
        ("VERIFY", "one"),
        ("VERIFY", "two"),
    }
    assert entries() == {
        ("VerifyBackup", "one", "ACCEPTED"),
        ("VerifyBackup", "two", "ACCEPTED"),
    }


def test_a_refused_row_does_not_stop_the_others(backups: list[Backup], alices: Browser) -> None:
    Backup.objects.filter(name="pinned").update(pinned=True)
    alices.send("backup-bulk-delete", **ids(backups), typed_name="delete 3")
    assert set(BackupJob.objects.values_list("backup__name", flat=True)) == {"one", "two"}
    assert ("DeleteBackup", "pinned", "REFUSED") in entries()
    assert "pinned" in alices.open("operation-list").content.decode()


def test_a_deletion_names_the_loss_and_needs_typing(backups: list[Backup], alices: Browser) -> None:
    content = alices.open("backup-bulk-delete", **ids(backups)).content.decode()
    assert "<h2>Lost</h2>" in content
    assert "these backups, with 1,500 rows." in content
    assert "the clusters and their data" in content.partition("<h2>Kept</h2>")[2]
    answer = alices.send("backup-bulk-delete", **ids(backups), typed_name="delete 2")
    assert answer.status_code == 422
    assert not BackupJob.objects.exists()


def test_it_pins_each(backups: list[Backup], alices: Browser) -> None:
    alices.send("backup-bulk-pin", **ids(backups[:1]))
    assert list(Backup.objects.filter(pinned=True)) == backups[:1]


def test_without_a_selection_it_says_so(backups: list[Backup], alices: Browser) -> None:
    assert alices.open("backup-bulk-verify").url == alices.address("backup-list")
    assert b"Select at least one backup." in alices.open("backup-list").content
    assert alices.send("backup-bulk-verify").status_code == 400


def test_backups_of_others_are_not_selected(backups: list[Backup], charlies: Browser) -> None:
    charlies.organization = "other"
    assert charlies.send("backup-bulk-verify", **ids(backups)).status_code == 400
    assert not BackupJob.objects.exists()


def test_a_viewer_selects_nothing(backups: list[Backup], bobs: Browser) -> None:
    assert b'type="checkbox"' not in bobs.open("backup-list").content
    assert bobs.send("backup-bulk-verify", **ids(backups)).status_code == 403


def test_failed_operations_of_clusters_and_backups_are_retried_together(
    cluster: Cluster,
    backups: list[Backup],
    alices: Browser,
    driver: MemoryDriver,
    work: Callable[[], int],
) -> None:
    driver.fail_next("stop", DriverError("The disk is full.", permanent=True))
    stop = services.stop_cluster(cluster, by="alice")
    work()
    verify = seed_job(backups[0], JobKind.VERIFY, TaskState.FAILED).task
    given = {"id": [stop.task_id, verify.task_id]}
    assert b"<h1>Retry 2 operations</h1>" in alices.open("operation-bulk-retry", **given).content
    alices.send("operation-bulk-retry", **given)
    retried = set(Task.objects.exclude(retry_of="").values_list("retry_of", "kind"))
    assert retried == {(stop.task_id, "STOP"), (verify.task_id, "VERIFY")}


def test_a_retry_needs_the_scope_of_each_operation(backups: list[Backup], olgas: Browser) -> None:
    deletion = seed_job(backups[0], JobKind.DELETE, TaskState.FAILED).task
    olgas.send("operation-bulk-retry", id=[deletion.task_id])
    assert not Task.objects.exclude(retry_of="").exists()
    assert entries() == {("RetryTask", deletion.task_id, "REFUSED")}


def test_a_viewer_retries_nothing(backups: list[Backup], bobs: Browser) -> None:
    assert bobs.open("operation-bulk-retry").status_code == 403


def test_an_id_with_a_nul_selects_nothing(backups: list[Backup], alices: Browser) -> None:
    answer = alices.open("backup-bulk-verify", id=["a\0b"])
    assert answer.url == alices.address("backup-list")
