"""Each change that the console makes by itself raises the version of its organization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.test import TestCase
from django.utils import timezone

from backups import janitor
from backups.archive.damage import Finding
from backups.models import Backup
from backups.policies import dispatch, pruning
from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy, run_now
from backups.policies.validation import PolicySpec
from backups.protection import inventory
from backups.protection.models import KnownCollection
from backups.services import backups as backup_services
from backups.states import BackupStatus
from clusters import reconcile, rollouts
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.services import restart_cluster
from clusters.sweeps import sweep_clusters
from tests.backups.seeds import seed_backup
from tests.policies.conftest import end
from vbase_console.organizations import versions
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.attempts import Attempt, claim
from vbase_console.tasks.services import request_cancel

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def policy(cluster: Cluster) -> BackupPolicy:
    return create_policy(cluster, PolicySpec(schedule_cron="0 3 * * *", retention_count=1))


@contextmanager
def raised_version() -> Iterator[None]:
    """Require that a commit in the block raises the version."""
    with (
        patch.object(versions, "raise_version") as raised,
        TestCase.captureOnCommitCallbacks(execute=True),
    ):
        yield
    assert raised.called


def begun(cluster: Cluster) -> Attempt:
    attempt = claim(restart_cluster(cluster, by="alice").task_id, worker="test")
    assert attempt is not None
    return attempt


def backed_up(policy: BackupPolicy, *, rows: int) -> Backup:
    run_now(policy, by="alice")
    return end(policy.runs.select_related("job").latest("pk"), rows=rows)


def planned(policy: BackupPolicy, later: timedelta) -> BackupPolicy:
    policy.next_run_at = timezone.now() + later
    policy.save(update_fields=["next_run_at"])
    return policy


def test_a_task_that_pauses_for_another_attempt(cluster: Cluster) -> None:
    attempt = begun(cluster)
    with raised_version():
        attempt.retry_later("Milvus does not answer.")


def test_a_task_that_fails(cluster: Cluster) -> None:
    attempt = begun(cluster)
    with raised_version():
        attempt.fail("Milvus does not start.")


def test_a_cancelled_task(cluster: Cluster, policy: BackupPolicy) -> None:
    run_now(policy, by="alice")
    task = policy.runs.latest("pk").job.task  # type: ignore[union-attr]
    with raised_version():
        request_cancel(task, by="alice")


def test_a_crashed_cluster(cluster: Cluster, driver: MemoryDriver) -> None:
    driver.crash(cluster.pk)
    with raised_version():
        assert sweep_clusters() == 1


def test_a_cluster_that_cannot_be_observed(cluster: Cluster, driver: MemoryDriver) -> None:
    long_ago = timezone.now() - reconcile.UNKNOWN_AFTER - timedelta(minutes=1)
    Cluster.objects.filter(pk=cluster.pk).update(seen_at=long_ago)
    driver.fail_next("observe", DriverError("the machine does not answer"))
    with raised_version():
        assert sweep_clusters() == 1


def test_a_scheduled_run(policy: BackupPolicy) -> None:
    due = planned(policy, timedelta(minutes=-1))
    assert due.next_run_at is not None
    with raised_version():
        assert dispatch.fire(due.pk, due.cluster_id, due.next_run_at)


def test_a_run_that_is_planned_anew_after_a_clock_was_set_back(policy: BackupPolicy) -> None:
    planned(policy, timedelta(days=30))
    with raised_version():
        assert dispatch.correct_next_runs() == 1


def test_a_scheduled_instant_that_was_fired_before(policy: BackupPolicy) -> None:
    due = planned(policy, timedelta(minutes=-1))
    assert due.next_run_at is not None
    dispatch.fire(due.pk, due.cluster_id, due.next_run_at)
    BackupPolicy.objects.filter(pk=due.pk).update(next_run_at=due.next_run_at)
    with raised_version():
        assert dispatch.fire(due.pk, due.cluster_id, due.next_run_at)


def test_a_backup_that_retention_deletes(policy: BackupPolicy) -> None:
    for _ in range(2):
        backed_up(policy, rows=10)
    with raised_version():
        assert pruning.prune(policy) == 1


def test_a_backup_that_retention_holds(policy: BackupPolicy) -> None:
    full = backed_up(policy, rows=1000)
    backed_up(policy, rows=10)
    with raised_version():
        pruning.prune(policy)
    full.refresh_from_db()
    assert full.retention_hold is True


def test_retention_that_was_applied(policy: BackupPolicy) -> None:
    backed_up(policy, rows=10)
    run = policy.runs.get()
    with raised_version():
        pruning.prune(policy, settles=[run.pk])
    run.refresh_from_db()
    assert run.retention_applied_at is not None


def test_a_new_collection(cluster: Cluster) -> None:
    with raised_version():
        inventory.record_scan(cluster, {"default": ["images"]})


def test_the_coverage_of_the_source_of_a_restore(cluster: Cluster, policy: BackupPolicy) -> None:
    inventory.record_scan(cluster, {"default": ["images"]})
    KnownCollection.objects.update(policy_id=None)
    with raised_version():
        inventory._lock_and_update_coverage(cluster)


def test_damage_that_a_reader_finds(cluster: Cluster) -> None:
    backup = seed_backup(cluster)
    with raised_version():
        backup_services._record_damage(backup, Finding("part-1", "MISSING"))


def test_an_import_whose_command_was_killed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = seed_backup(cluster, status=BackupStatus.CREATING)
    monkeypatch.setattr(janitor, "_delete_archive", lambda directory: 0)
    with raised_version():
        janitor._remove_dead_imports()
    backup.refresh_from_db()
    assert backup.status == BackupStatus.GONE


def test_the_next_step_of_a_rollout(
    make_cluster: Callable[..., Cluster], principal: Principal
) -> None:
    ids = [make_cluster(name, resources={"version": "2.0.0"}).pk for name in ("one", "two")]
    rollout = rollouts.create_rollout(principal, cluster_ids=ids, version="2.1.0")
    rollout.steps.exclude(position=1).update(state="WAITING")
    with raised_version():
        rollouts._settle(rollout)
