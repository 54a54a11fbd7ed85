"""Every page that confirms a destructive act names what is lost and what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from backups.models import Backup
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.states import JobKind
from clusters.admission import enqueue_task
from clusters.models import Cluster
from clusters.services import create_cluster, restart_cluster
from clusters.states import TaskKind
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.services import issue_api_key
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

MakeCluster = Callable[..., Cluster]
LOST_AND_KEPT = re.compile(r"<h2>Lost</h2>(.+?)<h2>Kept</h2>(.+?)</form>", re.DOTALL)


def lost_and_kept(browser: Browser, page: str, *keys: object, **query: str) -> tuple[str, str]:
    answer = browser.client.get(browser.address(page, *keys), query)
    found = LOST_AND_KEPT.search(answer.content.decode())
    assert found, f"{page} does not name what is lost and what is kept"
    return found[1], found[2]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


@pytest.fixture
def backup(cluster: Cluster) -> Backup:
    return seed_backup(cluster, "nightly")


@pytest.mark.parametrize(
    ("page", "lost", "kept"),
    [
        ("cluster-delete", "all databases, collections and rows", "nightly"),
        ("cluster-token-rotate", "the old token", "endpoint and data"),
    ],
)
def test_of_a_cluster(backup: Backup, alices: Browser, page: str, lost: str, kept: str) -> None:
    named = lost_and_kept(alices, page, backup.cluster_id)
    assert (lost in named[0], kept in named[1]) == (True, True)


def test_of_a_database(cluster: Cluster, alices: Browser) -> None:
    lost, kept = lost_and_kept(alices, "database-drop", cluster.pk, name="texts")
    assert "the empty database" in lost
    assert "all other databases of vectors" in kept


def test_of_a_backup(backup: Backup, alices: Browser) -> None:
    lost, kept = lost_and_kept(alices, "backup-delete", backup.name)
    assert "500 rows" in lost
    assert "vectors and all its data" in kept


def test_of_several_backups(backup: Backup, alices: Browser) -> None:
    other = seed_backup(backup.cluster, "other")
    answer = alices.open("backup-bulk-delete", id=[backup.pk, other.pk])
    found = LOST_AND_KEPT.search(answer.content.decode())
    assert found
    assert "1,000 rows" in found[1]
    assert "all other backups" in found[2]


@pytest.mark.parametrize(
    ("kind", "lost", "kept"),
    [
        (JobKind.BACKUP, "the files that the job has written", "its other backups"),
        (JobKind.RESTORE, "inserted so far", "as it was before the restore"),
        (JobKind.VERIFY, "the progress", "last verification"),
    ],
)
def test_of_a_job(backup: Backup, alices: Browser, kind: JobKind, lost: str, kept: str) -> None:
    job = seed_job(backup, kind, TaskState.RUNNING)
    named = lost_and_kept(alices, "job-cancel", job.task.task_id)
    assert (lost in named[0], kept in named[1]) == (True, True)


@pytest.mark.parametrize("page", ["job-detail", "cluster-detail"])
def test_the_cancellation_of_a_job_is_confirmed(backup: Backup, alices: Browser, page: str) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING)
    key = job.task.task_id if page == "job-detail" else backup.cluster_id
    address = alices.address("job-cancel", job.task.task_id)
    assert f'class="button" href="{address}"' in alices.open(page, key).content.decode()


@pytest.mark.parametrize("page", ["task-detail", "cluster-detail"])
def test_the_cancellation_of_a_task_is_confirmed(
    cluster: Cluster, alices: Browser, page: str
) -> None:
    task = restart_cluster(cluster, by="alice")
    key = task.task_id if page == "task-detail" else cluster.pk
    address = alices.address("task-cancel", task.task_id)
    assert f'class="button" href="{address}"' in alices.open(page, key).content.decode()


def test_of_a_task(cluster: Cluster, alices: Browser, principal: Principal) -> None:
    _, deployment = create_cluster(principal, name="new")
    restart = restart_cluster(cluster, by="alice")
    assert "the incomplete cluster" in lost_and_kept(alices, "task-cancel", deployment.task_id)[0]
    assert "all data" in lost_and_kept(alices, "task-cancel", restart.task_id)[1]
    assert Task.objects.filter(state="CANCELLED").count() == 0


@pytest.mark.parametrize(
    ("arguments", "lost", "kept"),
    [
        ({}, "the requested version", "the present version and all data"),
        ({"go_back": True}, "the requested return", "the present version and its data"),
    ],
    ids=["upgrade", "go back"],
)
def test_of_a_change_of_the_version(
    cluster: Cluster, alices: Browser, arguments: dict[str, object], lost: str, kept: str
) -> None:
    given = {"changes": {"version": "2.6.0"}, **arguments}
    task = enqueue_task(cluster, TaskKind.VERSION_UPGRADE, by="alice", arguments=given)
    named = lost_and_kept(alices, "task-cancel", task.task_id)
    assert (lost in named[0], kept in named[1]) == (True, True)
    assert "rows written" not in named[0]


def test_of_a_policy(cluster: Cluster, alices: Browser) -> None:
    policy = create_policy(cluster, PolicySpec(schedule_cron="@daily", retention_count=7))
    lost, kept = lost_and_kept(alices, "policy-delete", policy.policy_id)
    assert "no more backups of vectors" in lost
    assert "vectors with its data" in kept


def test_of_a_member(organization: Organization, bob: User, alices: Browser) -> None:
    membership = Membership.objects.get(user=bob)
    lost, kept = lost_and_kept(alices, "membership-remove", membership.pk)
    assert "the access of bob@example.com" in lost
    assert "the account" in kept


def test_of_a_key(organization: Organization, alices: Browser) -> None:
    key, _ = issue_api_key(organization, name="ci", scopes=["GetCluster"])
    lost, kept = lost_and_kept(alices, "api-key-revoke", key.pk)
    assert "rejected from now on" in lost
    assert "they continue" in kept
