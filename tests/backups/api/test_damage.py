"""Answers of the API about a damaged backup, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.archive.damage import ALL_PARTS, Finding
from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.pruning import backups_of, decisions_on
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.services.backups import delete_backup
from backups.states import JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.tasks.states import TaskState

FINDING = Finding("parts/1.parquet", "it is missing")


@pytest.fixture
def damaged(backup: Backup) -> Backup:
    Backup.objects.filter(pk=backup.pk).mark_damaged(by="job-1", findings=[FINDING])
    backup.refresh_from_db()
    return backup


def test_a_backup_says_whether_and_where_it_is_damaged(api: Api, of: str, damaged: Backup) -> None:
    shown = api.get(f"{of}/{damaged.name}")["backup"]
    assert (shown["status"], shown["damaged"]) == ("AVAILABLE", True)
    assert shown["damage"] == "parts/1.parquet: it is missing"
    assert (shown["verifiedAt"], shown["provenAt"]) == (None, None)


def test_a_sound_one_says_so(api: Api, of: str, backup: Backup) -> None:
    shown = api.get(f"{of}/{backup.name}")["backup"]
    assert (shown["damaged"], shown["damage"]) == (False, None)


def test_many_findings_are_told_in_few_words(api: Api, of: str, backup: Backup) -> None:
    findings = [Finding(f"parts/{number}", "it is missing") for number in range(30)]
    Backup.objects.filter(pk=backup.pk).mark_damaged(by="job-1", findings=findings)
    assert api.get(f"{of}/{backup.name}")["backup"]["damage"].endswith("; and 20 more")


def test_damage_of_before_findings_were_kept_is_told(api: Api, of: str, backup: Backup) -> None:
    Backup.objects.update(damage_found_by="job-1")
    shown = api.get(f"{of}/{backup.name}")["backup"]
    assert (shown["damaged"], shown["damage"]) == (True, "its archive is not what was sealed")


def test_lists_of_jobs_tell_it_of_the_backup(api: Api, of: str, damaged: Backup) -> None:
    seed_job(damaged)
    seed_job(seed_backup(damaged.cluster, "sound"))
    found = {job["backupName"]: job["backupDamaged"] for job in api.get(of)["jobs"]}
    assert found == {"nightly": True, "sound": False}


def test_without_a_manifest_nothing_is_restored_whatever_the_target_does(
    api: Api, cluster: Cluster, backup: Backup
) -> None:
    lost = Finding("manifest.json", "it is missing")
    Backup.objects.filter(pk=backup.pk).mark_damaged(by="job-1", findings=[lost])
    path = f"/{cluster.service_id}/backup/restore"
    api.post(f"/clusters/{cluster.cluster_id}/restart")
    answer = api.post(path, backupName=backup.name)
    assert (answer.status, answer.code) == (400, "FAILED_PRECONDITION")
    assert "manifest.json: it is missing" in answer["response"]["message"]


def test_it_is_not_the_last_backup_of_its_cluster(
    api: Api, cluster: Cluster, damaged: Backup
) -> None:
    path = f"/{cluster.organization_id}/clusters/{cluster.cluster_id}"
    assert api.get(path)["configuration"]["backup"]["lastBackupAt"] is None


def test_a_preview_of_a_policy_gives_damage_as_the_reason(
    api: Api, of: str, cluster: Cluster
) -> None:
    policy = create_policy(cluster, PolicySpec(schedule_cron="@daily", retention_count=1))
    backup = seed_backup(cluster, policy_id=policy.pk)
    Backup.objects.filter(pk=backup.pk).mark_damaged(by="job-1", findings=[FINDING])
    wish = {"scheduleCron": "@daily", "retentionCount": 1, "policyId": policy.pk}
    (kept,) = api.post(f"{of}/policy/preview", **wish)["wouldKeep"]
    assert kept["reason"] == "kept: damaged, but fewer than 1 newer are whole"


def test_a_damaged_backup_expires_as_such(cluster: Cluster) -> None:
    policy: BackupPolicy = create_policy(
        cluster, PolicySpec(schedule_cron="@daily", retention_count=1)
    )
    damaged = seed_backup(cluster, policy_id=policy.pk)
    seed_backup(cluster, policy_id=policy.pk)
    Backup.objects.filter(pk=damaged.pk).mark_damaged(by="job-1", findings=[FINDING])
    verdict = decisions_on(policy, backups_of(policy), 1)[damaged.pk]
    assert verdict.reason == "expired: damaged, and 1 newer ones are whole"


def test_a_cluster_that_is_deleted_names_it_as_damaged(
    api: Api, cluster: Cluster, damaged: Backup
) -> None:
    answer = api.delete(f"/clusters/{cluster.cluster_id}")
    assert "nightly (damaged)" in answer["message"]


def test_a_backup_that_is_being_deleted_is_not_called_damaged(damaged: Backup) -> None:
    delete_backup(damaged, by="alice")
    damaged.refresh_from_db()
    assert (damaged.is_damaged, damaged.findings, damaged.damage_text) == (False, [], "")


def test_a_job_that_found_it_notes_its_findings(backup: Backup, work: Callable[[], int]) -> None:
    from vbase_console.tasks.models import Task
    from vbase_console.tasks.registry import job_for

    job = seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    facts = {
        "damaged": True,
        "findings": [{"file": ALL_PARTS, "problem": "2000 files are missing"}],
    }
    Task.objects.filter(pk=job.pk).update(checkpoint=facts)
    job_for(JobKind.VERIFY).settled(Task.objects.get(pk=job.pk))
    backup.refresh_from_db()
    assert backup.findings == [Finding(ALL_PARTS, "2000 files are missing")]
    assert backup.damaged_by_job == job.task.task_id
