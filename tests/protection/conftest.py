"""A running cluster of the memory driver, with collections that a test states."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.protection import discovery_scan
from backups.protection.coverage import update_coverage
from backups.protection.discovery_scan import Listing
from backups.protection.inventory import record_scan
from backups.protection.models import KnownCollection
from clusters.models import Cluster
from tests.backups.seeds import IMAGES, seed_backup
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TaskState

Cover = Callable[..., BackupPolicy]


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def cover(cluster: Cluster) -> Cover:
    """A policy, at first every night at three for all of `default`."""

    def make(*names: str, **given: Any) -> BackupPolicy:
        wish = {"schedule_cron": "0 3 * * *", "retention_count": 2, "collection_names": names}
        return create_policy(given.pop("cluster", cluster), PolicySpec(**wish | given))

    return make


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Id of a cluster → its collections, or the error of the listing."""
    said: dict[str, Any] = {}

    def ask(cluster: Cluster) -> Listing:
        answer = said[cluster.pk]
        if isinstance(answer, Exception):
            raise answer
        seen: Listing = answer
        return seen

    monkeypatch.setattr(discovery_scan, "list_collections", ask)
    return said


@pytest.fixture
def end() -> Callable[..., None]:
    """Let a job end as the engine would: what that means is decided in the same transaction."""

    def end(job: BackupJob, *, state: str = TaskState.SUCCEEDED, **facts: Any) -> None:
        done = {"progress": 100} if state == TaskState.SUCCEEDED else {}
        now = timezone.now()
        Task.objects.filter(pk=job.pk).update(state=state, finished_at=now, **done, **facts)
        job_for(job.job_type).settled(Task.objects.get(pk=job.pk))

    return end


def know(cluster: Cluster, *names: str, db_name: str = "default") -> None:
    record_scan(cluster, {db_name: list(names)})


def known(name: str = "images") -> KnownCollection:
    return KnownCollection.objects.get(name=name)


def taken(cluster: Cluster, age: timedelta = timedelta(), *names: str, **fields: Any) -> Backup:
    """A good backup of these collections, `images` unless told otherwise, as old as said."""
    collections = [IMAGES | {"name": name} for name in names or ("images",)]
    backup = seed_backup(cluster, collections=collections, **fields)
    Backup.objects.filter(pk=backup.pk).update(created_at=timezone.now() - age)
    update_coverage(cluster.pk)
    return backup


def figures() -> dict[str, int]:
    return KnownCollection.objects.living().figures(timezone.now())
