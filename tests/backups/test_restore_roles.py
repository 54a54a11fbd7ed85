"""Roles of a restore when the server stops answering: the collections are restored already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.archive.access_control import AccessControl
from backups.archive.damage import ArchiveDamaged
from backups.milvus import access_control
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.restore import job as restore_job
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.elsewhere import with_roles
from tests.backups.interruption import taken_over

Work = Callable[[], int]
NOTHING = AccessControl(users=(), roles=(), privilege_groups=())


@pytest.fixture
def job(
    cluster: Cluster, milvus: MilvusClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> BackupJob:
    """A restore of a role into a server that has none."""
    fill(milvus, rows=5)
    plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    backup = with_roles(Backup.objects.get())
    milvus.drop_collection("images")
    monkeypatch.setattr(access_control, "read_access_control", lambda client: NOTHING)
    return plan_restore(backup, cluster, restore_access_control=True).submit(by="alice")


def test_a_server_that_does_not_answer_is_a_warning_after_some_attempts(
    job: BackupJob, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def is_silent(client: Any, name: str) -> bool:
        calls.append(name)
        raise MilvusError("CreateRole: Milvus does not answer.", permanent=False)

    monkeypatch.setattr(access_control, "create_role", is_silent)
    task = taken_over(job.task)
    assert task.state == "SUCCEEDED"
    assert "Role 'reader' was not created: CreateRole: Milvus does not answer." in task.warnings
    assert len(calls) > 1
    assert len(rows_of(milvus)) == 5


def test_an_archive_that_is_lost_after_the_swap_is_a_warning(
    job: BackupJob, milvus: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_archive, opened = restore_job.open_archive, []

    def open_once(backup: Backup) -> Any:
        opened.append(backup)
        if len(opened) > 1:
            raise ArchiveDamaged("manifest.json", "it is missing")
        return open_archive(backup)

    monkeypatch.setattr(restore_job, "open_archive", open_once)
    task = taken_over(job.task)
    assert task.state == "SUCCEEDED"
    assert any("Users and roles were not restored" in text for text in task.warnings)
    assert len(rows_of(milvus)) == 5
