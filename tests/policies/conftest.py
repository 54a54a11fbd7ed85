"""Policies on a cluster that runs in the memory driver; backups end by a word, without a Milvus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Backup
from backups.policies import kept_figures
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.models import Cluster
from vbase_console.tasks.models import Task

MakePolicy = Callable[..., BackupPolicy]


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def make_policy(cluster: Cluster) -> MakePolicy:
    def make(**given: Any) -> BackupPolicy:
        wish = {"schedule_cron": "0 3 * * *", "retention_count": 2} | given
        return create_policy(wish.pop("cluster", cluster), PolicySpec(**wish))

    return make


@pytest.fixture
def policy(make_policy: MakePolicy) -> BackupPolicy:
    return make_policy()


def end(run: PolicyRun, *, state: str = "SUCCEEDED", rows: int = 10, **facts: Any) -> Backup:
    """As the job's last transaction would leave it."""
    assert run.job is not None
    done = {"progress": 100} if state == "SUCCEEDED" else {}
    Task.objects.filter(pk=run.job.task_id).update(state=state, finished_at=timezone.now(), **done)
    contents = {
        "status": "AVAILABLE" if state == "SUCCEEDED" else "GONE",
        "manifest_sha256": "0" * 64,
        "collections": [{"name": "images", "rowCount": rows, "sizeBytes": 1, "parts": 1}],
    }
    Backup.objects.filter(pk=run.job.backup_id).update(**contents, **facts)
    kept_figures.recount(run.policy_id)
    return Backup.objects.get(pk=run.job.backup_id)
