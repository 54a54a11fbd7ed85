"""The number of queries of an endpoint does not depend on the number of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.api_serializers import PREVIEW_REQUEST
from backups.policies.models import BackupPolicy, PolicyRun
from clusters import protection
from clusters.models import Cluster, Rollout, RolloutStep
from clusters.rollouts import MAX_CLUSTERS
from tests.api.client import Api
from tests.api.operations import Served, served
from vbase_console.core.ids import new_id
from vbase_console.organizations.models import Organization, OrganizationVersion
from vbase_console.tasks.models import Task, TaskEvent

STREAMS = ("DownloadBackup",)
"""Answers that are no rows."""
READS = [
    one
    for one in served()
    if not one.operation.changes
    and not one.operation.is_public
    and one.operation.name not in STREAMS
]
FEW, MANY = 10, 1_000


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    cluster = make_cluster()
    grow_backups(cluster, 1)
    grow_policies(cluster, 1)
    Rollout.objects.create(organization_id=cluster.organization_id, version="2.1.0")
    return cluster


def grow(organization: Organization, cluster: Cluster, count: int) -> None:
    """So many clusters beside this one, and so many tasks of it, in progress and ended."""
    Cluster.objects.bulk_create(
        Cluster(organization=organization, name=f"c{number}-{count}", version="1")
        for number in range(count)
    )
    tasks = Task.objects.bulk_create(
        Task(
            task_id=f"task-{number}-{count}",
            organization=organization,
            kind="RESTART",
            subject_id=cluster.cluster_id,
            state="PENDING" if number % 2 else "CANCELLED",
        )
        for number in range(count)
    )
    grow_backups(cluster, count)
    grow_rollouts(organization, cluster, count)
    TaskEvent.objects.bulk_create(
        TaskEvent(task=task, epoch=0, state="PENDING", progress=0) for task in tasks
    )


def grow_rollouts(organization: Organization, cluster: Cluster, count: int) -> None:
    """So many rollouts, and so many steps of the first one."""
    ended = {"state": "SUCCEEDED", "finished_at": timezone.now()}
    Rollout.objects.bulk_create(
        Rollout(organization=organization, version="2.1.0", **ended) for _ in range(count)
    )
    steps = Rollout.objects.earliest("created_at").steps
    first = steps.count() + 1
    steps.bulk_create(
        RolloutStep(position=position, cluster=cluster, state="SUCCEEDED", rollout=steps.instance)
        for position in range(first, first + count)
    )


def grow_backups(cluster: Cluster, count: int) -> None:
    """So many jobs, each of a backup of its own."""
    backups = Backup.objects.bulk_create(
        Backup(
            organization_id=cluster.organization_id,
            cluster=cluster,
            name=f"b{number}-{count}",
            db_name="default",
        )
        for number in range(count)
    )
    tasks = Task.objects.bulk_create(
        Task(
            task_id=f"job-{backup.name}",
            organization_id=cluster.organization_id,
            kind="BACKUP",
            subject_id=backup.pk,
            state="FAILED",
        )
        for backup in backups
    )
    BackupJob.objects.bulk_create(
        BackupJob(
            task=task,
            organization_id=cluster.organization_id,
            job_type="BACKUP",
            backup=backup,
            cluster=cluster,
            db_name="default",
        )
        for task, backup in zip(tasks, backups, strict=True)
    )


def grow_policies(cluster: Cluster, count: int) -> None:
    """Each with a run that was skipped."""
    of = {"organization_id": cluster.organization_id}
    daily = {"schedule_cron": "@daily", "retention_count": 1, "next_run_at": timezone.now()}
    policies = BackupPolicy.objects.bulk_create(
        BackupPolicy(cluster=cluster, name=new_id("daily"), **daily, **of) for _ in range(count)
    )
    runs = PolicyRun.objects.bulk_create(
        PolicyRun(policy=policy, planned_at=timezone.now(), skip_reason="Stopped.", **of)
        for policy in policies
    )
    for policy, run in zip(policies, runs, strict=True):
        policy.last_run = run
    BackupPolicy.objects.bulk_update(policies, ["last_run"])


def queries(api: Api, one: Served, cluster: Cluster) -> int:
    path = one.path.format(
        organization_id=cluster.organization_id,
        cluster_id=cluster.cluster_id,
        service_id=cluster.service_id,
        task_id=Task.objects.order_by("pk")[0].task_id,
        backup_name=Backup.objects.order_by("pk")[0].name,
        job_id=Task.objects.filter(backup_job__isnull=False).order_by("pk")[0].task_id,
        policy_id=BackupPolicy.objects.order_by("pk")[0].policy_id,
        rollout_id=Rollout.objects.earliest("created_at").rollout_id,
    )
    asked = {"pageSize": 200} if one.operation.name.startswith("List") else {}
    if one.operation.name == "Search":
        asked = {"q": "acme"}
    if one.operation.name == "PreviewBackupPolicy":
        asked = PREVIEW_REQUEST | {"policyId": BackupPolicy.objects.order_by("pk")[0].policy_id}
    if one.operation.name == "PreviewRollout":
        ids = Cluster.objects.values_list("pk", flat=True)[:MAX_CLUSTERS]
        asked = {"version": "2.0.0", "clusterIds": list(ids)}
    where = {"query" if one.method == "GET" else "body": asked}
    with CaptureQueriesContext(connection) as captured:
        assert api.send(one.method, path, **where).status == 200
    return counted(captured)


def counted(captured: CaptureQueriesContext) -> int:
    """Number of statements, without those that raise the organization's version once a second."""
    version = OrganizationVersion._meta.db_table
    return sum(version not in query["sql"] for query in captured)


def test_every_reading_costs_the_same_with_a_thousand_as_with_ten(
    api: Api, cluster: Cluster, organization: Organization
) -> None:
    grow(organization, cluster, FEW)
    api.get("/me")  # notes once in a while when the key was used
    few = {one.operation.name: queries(api, one, cluster) for one in READS}
    grow(organization, cluster, MANY)
    many = {one.operation.name: queries(api, one, cluster) for one in READS}
    assert many == few
    assert {name: count for name, count in few.items() if count > 4} == {
        # two for the key, one for each kind of object and one for its words, two for collections
        "Search": 10,
        "PreviewRollout": 5,  # clusters, their tasks and rollouts, durations of earlier upgrades
        "GetUpgradePlan": 5,  # also the durations of earlier upgrades and the kept copy
    }


def test_but_for_its_backups_a_cluster_is_read_with_two_queries(
    api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protection, "_registered", [])
    (one,) = [one for one in READS if one.operation.name == "GetCluster"]
    api.get("/me")
    assert queries(api, one, cluster) == 2


def cost(api: Api, method: str, path: str, **body: object) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert api.send(method, path, body=body).status == 200
    return counted(captured)


def test_creating_a_cluster_costs_the_same_with_a_thousand(
    api: Api, cluster: Cluster, organization: Organization, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ORGANIZATION = 10 * MANY
    api.get("/me")
    few = cost(api, "POST", "/clusters", name="first")
    grow(organization, cluster, MANY)
    assert cost(api, "POST", "/clusters", name="second") == few


def costs_of_changes(api: Api, cluster: Cluster, *, units: int) -> dict[str, int]:
    """Queries of all changes except a deletion, which cancels each waiting task."""
    path = f"/clusters/{cluster.cluster_id}"
    scaling = cost(api, "POST", f"{path}/scale", resourceConfig={"computeUnits": units})
    verbs = {verb: cost(api, "POST", f"{path}/{verb}") for verb in ("restart", "stop", "start")}
    return verbs | {
        "scale": scaling,
        "patch": cost(api, "PATCH", path, labels={"units": str(units)}),
        "rotate": cost(api, "POST", f"/{cluster.service_id}/access/rotate"),
    }


def test_a_change_costs_the_same_with_a_thousand_that_wait(
    api: Api, cluster: Cluster, organization: Organization, settings: Any
) -> None:
    settings.MAX_WAITING_PER_CLUSTER = settings.MAX_WAITING_PER_ORGANIZATION = 10 * MANY
    grow(organization, cluster, FEW)
    api.get("/me")
    few = costs_of_changes(api, cluster, units=2)
    grow(organization, cluster, MANY)
    assert costs_of_changes(api, cluster, units=3) == few
