"""A policy's job in a real Milvus selects its collections when it runs."""

from __future__ import annotations

from collections.abc import Callable

from pymilvus import MilvusClient

from backups.models import Backup
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.services import create_policy, run_now
from backups.policies.validation import PolicySpec
from backups.services.jobs import retry_job
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill

Work = Callable[[], int]


def make_policy(cluster: Cluster, *names: str, on_missing: str = "FAIL") -> BackupPolicy:
    return create_policy(
        cluster,
        PolicySpec(
            schedule_cron="@daily", retention_count=3, collection_names=names, on_missing=on_missing
        ),
    )


def run(policy: BackupPolicy, work: Work) -> tuple[PolicyRun, Backup]:
    run_now(policy, by="alice")
    work()
    found = PolicyRun.objects.select_related("job__task", "job__backup").get()
    assert found.job is not None
    return found, found.job.backup


def names_in(backup: Backup) -> list[str]:
    return [collection["name"] for collection in backup.collections]


def test_no_names_mean_every_collection(cluster: Cluster, milvus: MilvusClient, work: Work) -> None:
    fill(milvus, "images")
    fill(milvus, "texts")
    found, backup = run(make_policy(cluster), work)
    assert (found.status, names_in(backup)) == ("SUCCEEDED", ["images", "texts"])
    assert backup.omissions == []


def test_a_vanished_collection_fails_the_run_visibly(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, "images")
    found, backup = run(make_policy(cluster, "images", "gone"), work)
    assert (found.status, backup.status) == ("FAILED", "GONE")
    assert found.job is not None
    assert "no collection gone." in found.job.task.message


def test_or_is_left_out_with_a_warning(cluster: Cluster, milvus: MilvusClient, work: Work) -> None:
    fill(milvus, "images")
    found, backup = run(make_policy(cluster, "images", "gone", on_missing="WARN"), work)
    assert (found.status, names_in(backup)) == ("SUCCEEDED", ["images"])
    assert backup.omissions == ["Collection gone did not exist, so the backup does not contain it."]
    assert backup.omissions[0] in backup.warnings


def test_a_run_that_finds_nothing_is_skipped(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    found, backup = run(make_policy(cluster), work)
    assert (found.status, backup.status) == ("SKIPPED", "GONE")
    assert "Nothing to back up" in found.skip_reason


def test_a_failed_run_can_be_tried_again(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    found, _ = run(make_policy(cluster), work)
    fill(milvus, "images")
    assert found.job is not None
    retry_job(found.job, by="alice")
    work()
    again = PolicyRun.objects.select_related("job__task").get()
    assert again.status == "SUCCEEDED"


def test_what_a_policy_names_by_an_alias_comes_back_by_the_same_name(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, "images", rows=3)
    milvus.create_alias("images", "pictures")
    policy = make_policy(cluster, "pictures")
    _, backup = run(policy, work)
    milvus.drop_alias("pictures")
    milvus.drop_collection("images")
    plan_restore(backup, cluster, collection_names=policy.collection_names).submit(by="alice")
    work()
    assert milvus.list_aliases("images")["aliases"] == ["pictures"]
