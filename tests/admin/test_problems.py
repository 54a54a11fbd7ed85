"""The index of the admin names each kind of problem of any organization, with its cause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.protection.models import InventoryScan
from clusters import services
from clusters.models import Cluster
from tests.policies.pages import back_up, skip
from vbase_console.dashboard.support import machine
from vbase_console.dashboard.support.problems import problem_lists
from vbase_console.organizations.models import ApiKey, Organization
from vbase_console.organizations.services import issue_api_key
from vbase_console.tasks.models import Heartbeat, Task, database_time_in
from vbase_console.tasks.states import TaskState

MakeCluster = Callable[..., Cluster]
pytestmark = pytest.mark.usefixtures("console_at_work")


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster("shop")


@pytest.fixture
def policy(cluster: Cluster) -> BackupPolicy:
    spec = PolicySpec(name="nightly", schedule_cron="0 3 * * *", retention_count=2)
    return create_policy(cluster, spec)


def found() -> dict[str, list[tuple[str, str]]]:
    """Kind → title and message of each problem."""
    return {
        problems.title: [(row.title, row.message) for row in problems.rows]
        for problems in problem_lists()
    }


def test_nothing_is_found_while_all_is_well(policy: BackupPolicy) -> None:
    back_up(policy)
    assert found() == {}


def test_a_policy_whose_last_run_failed_is_named_once(policy: BackupPolicy) -> None:
    back_up(policy, state="FAILED")
    Task.objects.filter(state="FAILED").update(message="The disk is full.")
    assert found() == {"Failing policies": [("shop: nightly", "The disk is full.")]}


def test_a_skipped_run_is_told_in_words(policy: BackupPolicy) -> None:
    skip(policy, f"{policy.cluster.service_id} is STOPPED.")
    assert found()["Failing policies"] == [("shop: nightly", "The cluster is stopped.")]


def test_a_late_policy_is_named(policy: BackupPolicy) -> None:
    BackupPolicy.objects.update(next_run_at=timezone.now() - timedelta(hours=1))
    assert found()["Late policies"][0][0] == "shop: nightly"


@pytest.mark.parametrize("status", ["ERROR", "UNKNOWN", "UPDATE_FAILED"])
def test_a_broken_cluster_is_named_with_its_reason(cluster: Cluster, status: str) -> None:
    Cluster.objects.update(status=status, status_message="The Milvus process exited.")
    assert found()["Clusters in error"] == [("shop", "The Milvus process exited.")]


def test_a_task_that_no_worker_takes_is_named(cluster: Cluster) -> None:
    services.restart_cluster(cluster, by="alice")
    Task.objects.filter(state="PENDING").update(not_before=timezone.now() - timedelta(hours=1))
    assert found()["Tasks without a worker"] == [("shop: restart", "Waiting for a worker.")]


def test_a_task_of_a_silent_worker_is_named(cluster: Cluster) -> None:
    task = services.restart_cluster(cluster, by="alice")
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.RUNNING, worker="worker-1", lease_until=database_time_in(-3600)
    )
    message = "Its worker worker-1 no longer reports."
    assert found()["Tasks without a worker"] == [("shop: restart", message)]


def test_a_silent_part_of_the_console_is_named() -> None:
    Heartbeat.objects.filter(part="beat").update(at=timezone.now() - timedelta(hours=1))
    message = "The scheduler (beat) has not reported for 15 seconds."
    assert found() == {"Console": [("Scheduler", message)]}


def test_a_disk_that_fills_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=100 * 2**30, free=2**30)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)
    [(title, message)] = found()["Console"]
    assert title == "Disk"
    assert message.startswith("1.0\xa0GB of 100.0\xa0GB are free for ")


def test_a_cluster_on_a_version_that_is_not_offered_is_named(cluster: Cluster) -> None:
    Cluster.objects.update(version="1.0")
    [problems] = found().values()
    assert problems == [("shop", "Version 1.0 is not offered any more.")]


def test_a_cluster_that_cannot_be_scanned_is_named(cluster: Cluster) -> None:
    now, reason = timezone.now(), "The cluster did not answer in time."
    InventoryScan.objects.update_or_create(
        cluster=cluster,
        defaults={
            "organization_id": cluster.organization_id,
            "next_scan_at": now,
            "failures": 5,
            "error_message": reason,
        },
    )
    assert found()["Clusters that cannot be scanned"] == [("shop", reason)]


def test_a_key_that_expires_soon_is_named(organization: Organization) -> None:
    issue_api_key(organization, name="ci", scopes=["GetCluster"])
    ApiKey.objects.update(expiry_date=timezone.now() + timedelta(days=3))
    [(title, message)] = found()["API keys that expire within 14 days"]
    assert (title[:4], message) == ("ci (", "It has never been used.")


def test_sample_data_has_no_problems(policy: BackupPolicy) -> None:
    back_up(policy, state="FAILED")
    Cluster.objects.update(status="ERROR")
    Organization.objects.update(is_demo=True)
    assert found() == {}


def test_many_problems_cost_as_many_statements_as_one(
    make_cluster: MakeCluster, policy: BackupPolicy
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            problem_lists()
        return len(captured)

    back_up(policy, state="FAILED")
    Cluster.objects.update(status="ERROR")
    one = statements()
    for number in range(12):
        spec = PolicySpec(schedule_cron="0 3 * * *", retention_count=2)
        back_up(create_policy(make_cluster(f"c{number}"), spec), state="FAILED")
    Cluster.objects.update(status="ERROR")
    assert statements() == one
