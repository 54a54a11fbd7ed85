"""Refusals before a cluster is called. Those that need a cluster are in `test_a_backups_life`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup, BackupJob
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_job
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import CREATE_BACKUP, RESTORE_BACKUP
from vbase_console.tasks.states import TaskState


@pytest.fixture
def target(cluster: Cluster, make_cluster: Callable[..., Cluster]) -> Cluster:
    """On its way: what stands in the way there is seen by the job."""
    return make_cluster("target", running=False)


@pytest.fixture
def restore(target: Cluster) -> str:
    return f"/{target.service_id}/backup/restore"


def test_the_address_names_the_target(api: Api, restore: str, backup: Backup) -> None:
    said = api.post(restore, backupName=backup.name)
    job = BackupJob.objects.get(task__task_id=said["job"]["jobId"])
    assert (job.cluster.name, job.backup_id, job.db_name) == ("target", backup.pk, "default")
    assert (job.collection_names, job.options["on_conflict"]) == ([], "FAIL")
    assert said.header("Location") == f"/v1/vbase/jobs/{said.header('Operation-Id')}"


def test_what_is_asked_for_is_kept(api: Api, restore: str, backup: Backup) -> None:
    how = {"onConflict": "RENAME", "suffix": "_b", "dbName": "d", "collectionNames": ["images"]}
    said = api.post(restore, backupName=backup.name, restoreAccessControl=True, **how)
    job = BackupJob.objects.get(task__task_id=said["job"]["jobId"])
    assert (job.db_name, job.collection_names) == ("d", ["images"])
    assert job.options == {
        "on_conflict": "RENAME",
        "suffix": "_b",
        "restore_access_control": True,
    }


WRONG = [
    ({"onConflict": "OVERWRITE"}, "onConflict"),
    ({"onConflict": "RENAME"}, "suffix"),
    ({"onConflict": "RENAME", "suffix": ""}, "suffix"),
    ({"suffix": "_b"}, "suffix"),
    ({"onConflict": "RENAME", "suffix": "no good"}, "suffix"),
    ({"dbName": "a/b"}, "dbName"),
    ({"dbName": "a\nb"}, "dbName"),
    ({"dbName": "año"}, "dbName"),
    ({"dbName": "a b "}, "dbName"),
    ({"dbName": "a\\b"}, "dbName"),
    ({"dbName": "d" * 256}, "dbName"),
    ({"collectionNames": ["c"] * 10_001}, "collectionNames"),
    ({"dbName": "a/b", "dryRun": True}, "dbName"),
    ({"collectionNames": "images"}, "collectionNames"),
    ({"dryRun": "yes"}, "dryRun"),
    ({"backupName": None}, "backupName"),
    ({"serviceId": "svc-other"}, "serviceId"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_wrong_is_named(
    api: Api, restore: str, backup: Backup, body: dict[str, object], field: str
) -> None:
    said = api.post(restore, **({"backupName": backup.name} | body))
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", [field])


def test_a_suffix_is_asked_for_where_it_counts_and_only_there(
    api: Api, restore: str, backup: Backup
) -> None:
    needed = api.post(restore, backupName=backup.name, onConflict="RENAME").field_errors
    idle = api.post(restore, backupName=backup.name, suffix="_b").field_errors
    assert "RENAME needs a suffix" in needed["suffix"][0]
    assert idle == {"suffix": ["A suffix requires RENAME. Leave it out for FAIL."]}


def test_the_database_of_the_backup_can_be_named_whatever_it_is_called(
    api: Api, restore: str, backup: Backup
) -> None:
    Backup.objects.update(db_name="sales of 2026")
    for named in ("", "sales of 2026"):
        said = api.post(restore, backupName=backup.name, dbName=named)
        assert said["job"]["dbName"] == "sales of 2026"


@pytest.mark.parametrize(
    "body", [{"backupName": "nobody"}, {"backupName": "nightly", "collectionNames": ["texts"]}]
)
def test_what_is_not_there_is_not_found(
    api: Api, restore: str, backup: Backup, body: dict[str, object]
) -> None:
    assert api.post(restore, **body).code == "NOT_FOUND"
    assert api.post(restore, dryRun=True, **body).status in (404, 503)


def test_what_is_being_deleted_is_refused(api: Api, restore: str, backup: Backup) -> None:
    Backup.objects.update(status=BackupStatus.DELETING)
    assert api.post(restore, backupName=backup.name).code == "FAILED_PRECONDITION"


def test_what_is_still_being_written_is_worth_another_try(
    api: Api, restore: str, backup: Backup
) -> None:
    Backup.objects.update(status=BackupStatus.CREATING)
    job = seed_job(backup, JobKind.BACKUP, TaskState.RUNNING)
    said = api.post(restore, backupName=backup.name)
    assert (said.code, said.header("Retry-After")) == ("ABORTED", "5")
    assert job.task.task_id in said["response"]["message"]


def test_a_target_that_does_not_run_is_refused(
    api: Api, backup: Backup, cluster: Cluster, work: Callable[[], int]
) -> None:
    api.post(f"/clusters/{cluster.cluster_id}/stop")
    work()
    said = api.post(f"/{cluster.service_id}/backup/restore", backupName=backup.name)
    assert said.code == "FAILED_PRECONDITION"


def test_nothing_can_be_looked_at_where_nothing_answers(
    api: Api, restore: str, backup: Backup
) -> None:
    said = api.post(restore, backupName=backup.name, dryRun=True)
    assert said.code in ("UNAVAILABLE", "FAILED_PRECONDITION")
    assert not BackupJob.objects.exists()


def test_a_backup_of_a_stranger_is_not_found(stranger: Api, restore: str, backup: Backup) -> None:
    assert stranger.post(restore, backupName=backup.name).status == 404


def test_it_needs_its_scope(key_with: Callable[..., Api], restore: str, backup: Backup) -> None:
    assert key_with(CREATE_BACKUP).post(restore, backupName=backup.name).status == 403
    assert key_with(RESTORE_BACKUP).post(restore, backupName=backup.name).status == 200


def test_history_names_the_target_and_the_job(
    api: Api, restore: str, backup: Backup, target: Cluster
) -> None:
    said = api.post(restore, backupName=backup.name)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("RestoreBackup", target.service_id)
    assert entry.detail == said.header("Operation-Id")
