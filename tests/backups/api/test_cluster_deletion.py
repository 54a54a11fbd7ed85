"""The effect of a cluster's deletion on its backups, and the answer that states it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.capture import job as capture_job
from backups.models import Backup, BackupJob
from backups.services import backups
from backups.services.backups import plan_backup
from backups.states import JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import SHA256, seed_backup, seed_job
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task, database_time_in
from vbase_console.tasks.states import TaskState

Work = Callable[[], int]
Patch = pytest.MonkeyPatch


@pytest.fixture
def three(backup: Backup, cluster: Cluster) -> None:
    """Beside the nightly one a pinned one, and one that is being restored."""
    seed_backup(cluster, "pinned", pinned=True)
    seed_job(seed_backup(cluster, "in-use"), JobKind.RESTORE, TaskState.RUNNING)


def deleted(api: Api, cluster: Cluster, **query: str) -> str:
    return str(api.delete(f"/clusters/{cluster.cluster_id}", **query)["message"])


@pytest.mark.usefixtures("three")
def test_it_keeps_them_and_names_them(api: Api, cluster: Cluster) -> None:
    said = deleted(api, cluster)
    assert "Backups kept: 3 (" in said
    assert all(name in said for name in ("nightly", "pinned", "in-use"))
    assert set(Backup.objects.values_list("status", flat=True)) == {"AVAILABLE"}


@pytest.mark.usefixtures("three")
def test_on_request_they_go_and_it_names_those_that_stay(api: Api, cluster: Cluster) -> None:
    said = deleted(api, cluster, deleteBackups="true")
    assert "Backups deleted with it: 1." in said
    assert "Backups kept: 2 (" in said
    assert "nightly" not in said
    assert Backup.objects.get(name="nightly").status == "DELETING"


def test_what_it_has_not_it_does_not_mention(api: Api, cluster: Cluster) -> None:
    assert "backup" not in deleted(api, cluster)


def test_what_saves_or_restores_under_its_lock_is_asked_to_stop(
    api: Api, cluster: Cluster, backup: Backup
) -> None:
    running = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING).task
    waiting = seed_job(seed_backup(cluster), JobKind.BACKUP, TaskState.PENDING).task
    Task.objects.filter(pk__in=[running.pk, waiting.pk]).update(lock=cluster.lock)
    lease = {"holds_lock": True, "epoch": 1, "lease_until": database_time_in(30)}
    Task.objects.filter(pk=running.pk).update(**lease)
    deleted(api, cluster)
    running.refresh_from_db(), waiting.refresh_from_db()
    assert (running.state, waiting.state) == ("CANCELLING", "CANCELLED")


def test_its_protection_is_shown_until_then(api: Api, cluster: Cluster, backup: Backup) -> None:
    path = f"/{cluster.organization_id}/clusters/{cluster.cluster_id}"
    shown = api.get(path)["configuration"]["backup"]
    assert shown["lastBackupAt"] is not None
    assert (shown["lastProvenAt"], shown["policyCount"]) == (None, 0)


@pytest.mark.parametrize(
    ("query", "status"), [({"deleteBackups": "true"}, "GONE"), ({}, "AVAILABLE")]
)
def test_one_that_is_sealed_at_that_moment_goes_or_stays_as_the_others_do(
    api: Api, cluster: Cluster, work: Work, monkeypatch: Patch, query: dict[str, str], status: str
) -> None:
    def seal(attempt: Attempt, job: BackupJob) -> None:
        deleted(api, cluster, **query)
        Backup.objects.update(manifest_sha256=SHA256)
        attempt.save_checkpoint(**{capture_job.SEALED: SHA256})

    monkeypatch.setattr(capture_job, "capture", seal)
    monkeypatch.setattr(backups, "require_collections", lambda *_: None)
    plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    assert Backup.objects.get().status == status
