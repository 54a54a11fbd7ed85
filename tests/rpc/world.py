"""An organization with one of everything, and a valid request of every call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.states import JobKind
from clusters.models import Cluster, KeptCopy, Rollout
from clusters.services import cancel_task
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState


@dataclasses.dataclass(frozen=True)
class World:
    cluster: Cluster
    """Runs."""
    new: Cluster
    """On its way, so that no Milvus is asked about content."""
    waiting: Task
    cancelled: Task
    backup: Backup
    waiting_job: BackupJob
    failed_job: BackupJob
    policy: BackupPolicy

    @property
    def one_cluster(self) -> dict[str, str]:
        return {"cluster_id": self.cluster.cluster_id}

    @property
    def one_service(self) -> dict[str, str]:
        return {"service_id": self.cluster.service_id}

    @property
    def new_service(self) -> dict[str, str]:
        return {"service_id": self.new.service_id}

    @property
    def one_backup(self) -> dict[str, str]:
        return self.one_service | {"backup_name": self.backup.name}

    @property
    def one_policy(self) -> dict[str, str]:
        return {"service_id": self.new.service_id, "policy_id": self.policy.policy_id}

    @property
    def organization(self) -> dict[str, str]:
        return {"organization_id": str(self.cluster.organization_id)}


def make_world(make_cluster: Callable[..., Cluster]) -> World:
    cluster = make_cluster("runs", labels={"teamName": "search"})
    cancelled_cluster = make_cluster("cancelled", running=False)
    cancelled = cancel_task(Task.objects.get(subject_id=cancelled_cluster.pk), by="alice")
    new = make_cluster("new", running=False)
    backup = seed_backup(cluster, "nightly")
    return World(
        cluster=cluster,
        new=new,
        waiting=Task.objects.get(subject_id=new.pk),
        cancelled=cancelled,
        backup=backup,
        waiting_job=seed_job(backup, JobKind.VERIFY, TaskState.PENDING),
        failed_job=seed_job(seed_backup(cluster, "weekly"), JobKind.VERIFY, TaskState.FAILED),
        policy=create_policy(new, PolicySpec(schedule_cron="0 3 * * *", retention_count=7)),
    )


def _cron(world: World) -> dict[str, Any]:
    return world.new_service | {"schedule_cron": "30 3 * * MON-FRI", "retention_count": 3}


def _task_of(world: World, task: Task) -> dict[str, str]:
    return {"cluster_id": task.subject_id, "task_id": task.task_id}


REQUESTS: dict[str, Callable[[World], dict[str, Any]]] = {
    "HealthCheck": lambda world: {},
    "GetMe": lambda world: {},
    "CreateCluster": lambda world: {
        "name": "made",
        "resource_config": {"compute_units": 2, "enable_auto_scaling": True},
        "labels": {"costCenter": "7", "team_name": "search"},
        "deletion_protection": True,
    },
    "AttachCluster": lambda world: {
        "name": "elsewhere",
        "endpoint": "127.0.0.1",
        "port": 2,
        "token": "root:Milvus",
    },
    "GetCluster": lambda world: world.organization | world.one_cluster,
    "UpdateCluster": lambda world: (
        world.one_cluster | {"name": "renamed", "labels": {"a": "b"}, "deletion_protection": False}
    ),
    "DeleteCluster": lambda world: world.one_cluster | {"delete_backups": True},
    "ScaleCluster": lambda world: world.one_cluster | {"resource_config": {"compute_units": 2}},
    "RestartCluster": lambda world: world.one_cluster,
    "StopCluster": lambda world: world.one_cluster,
    "StartCluster": lambda world: {"cluster_id": stopped(world)},
    "GetClusterInProgressTasks": lambda world: {"cluster_id": world.new.cluster_id},
    "ListClusterTasks": lambda world: world.one_cluster | {"page": 1, "page_size": 2},
    "GetClusterTask": lambda world: _task_of(world, world.cancelled),
    "CancelTask": lambda world: _task_of(world, world.waiting),
    "RetryTask": lambda world: _task_of(world, world.cancelled),
    "ListServices": lambda world: (
        world.organization | {"status_filter": "RUNNING", "include_deleted": True}
    ),
    "GetService": lambda world: world.one_service,
    "GetServiceAccess": lambda world: world.one_service,
    "RotateServiceAccess": lambda world: world.one_service,
    "CreateBackup": lambda world: (
        world.new_service | {"collection_names": ["images"], "backup_name": "made"}
    ),
    "ListBackups": lambda world: (
        world.one_service | {"job_type": "VERIFY", "status": "PENDING", "page_size": 1}
    ),
    "ListBackupByOrg": lambda world: world.organization | {"job_type": "VERIFY", "page": 1},
    "RestoreBackup": lambda world: (
        world.new_service | {"backup_name": "nightly", "on_conflict": "RENAME", "suffix": "_b"}
    ),
    "GetBackup": lambda world: world.one_backup,
    "DeleteBackup": lambda world: world.one_backup,
    "VerifyBackup": lambda world: world.one_backup,
    "PinBackup": lambda world: world.one_backup,
    "UnpinBackup": lambda world: world.one_backup,
    "ReleaseBackup": lambda world: world.one_backup,
    "GetJob": lambda world: {"job_id": world.failed_job.task.task_id},
    "CancelJob": lambda world: {"job_id": world.waiting_job.task.task_id},
    "RetryJob": lambda world: {"job_id": world.failed_job.task.task_id},
    "CreateBackupPolicy": lambda world: _cron(world) | {"name": "made", "is_active": False},
    "ListBackupPolicies": lambda world: world.new_service,
    "GetBackupPolicy": lambda world: world.one_policy,
    "UpdateBackupPolicy": lambda world: (
        world.one_policy | {"is_active": False, "retention_count": 9, "description": ""}
    ),
    "DeleteBackupPolicy": lambda world: world.one_policy,
    "RunBackupPolicy": lambda world: world.one_policy,
    "PreviewBackupPolicy": lambda world: (
        _cron(world) | {"policy_id": world.policy.policy_id, "count": 2, "timezone": "Europe/Paris"}
    ),
    "Search": lambda world: {"q": "ru"},
    "GetUpgradePlan": lambda world: world.one_cluster,
    "GoBackCluster": lambda world: {"cluster_id": upgraded(world), "backup_first": False},
    "CreateRollout": lambda world: {
        "version": "2.0.0",
        "cluster_ids": [world.cluster.cluster_id],
        "backup_first": False,
    },
    "PreviewRollout": lambda world: {
        "version": "2.0.0",
        "cluster_ids": [world.cluster.cluster_id, world.new.cluster_id],
    },
    "ListRollouts": lambda world: {"page": 1, "page_size": 2},
    "GetRollout": lambda world: {"rollout_id": rolled_out(world)},
    "CancelRollout": lambda world: {"rollout_id": rolled_out(world)},
    "GetClusterMetrics": lambda world: world.one_cluster | {"window": "24h"},
    "ListCollections": lambda world: world.one_cluster | {"db_name": "default"},
    "CreateDatabase": lambda world: world.one_cluster | {"name": "made"},
    "DropDatabase": lambda world: world.one_cluster | {"name": "made"},
    "LoadCollection": lambda world: world.one_cluster | {"name": "images", "db_name": "default"},
    "ReleaseCollection": lambda world: world.one_cluster | {"name": "images"},
}
"""Call → its request in the names of the proto file. A new call belongs here."""
NEEDS_MILVUS = {
    *("CreateDatabase", "DropDatabase", "LoadCollection", "ReleaseCollection"),
}
"""Calls that are refused here, because the clusters have no Milvus."""


def upgraded(world: World) -> str:
    """The cluster, as if it had been upgraded a moment ago."""
    now = timezone.now()
    copy = {"version": "2.5.0", "size_bytes": 1, "answers": {}, "created_at": now}
    KeptCopy.objects.get_or_create(
        cluster=world.cluster, defaults=copy | {"expires_at": now + timedelta(hours=24)}
    )
    return world.cluster.cluster_id


def rolled_out(world: World) -> str:
    """A rollout of a cluster whose turn has not come."""
    organization_id = world.new.organization_id
    rollout, is_new = Rollout.objects.get_or_create(organization_id=organization_id, version="3")
    if is_new:
        rollout.steps.create(position=1, cluster=world.new, from_version="2.1.0")
    return rollout.rollout_id


def stopped(world: World) -> str:
    """The cluster, as if it had been stopped."""
    Cluster.objects.filter(pk=world.cluster.pk).update(
        status="STOPPED", condition="STOPPED", wanted_running=False
    )
    return world.cluster.cluster_id
