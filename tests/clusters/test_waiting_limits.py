"""Limits of unfinished tasks, per cluster and per organization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.policies.models import BackupPolicy
from backups.policies.runs import start_run
from backups.policies.services import create_policy, run_now
from backups.policies.validation import PolicySpec
from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.sweeps import sweep_clusters
from tests.api.client import Api
from tests.api.fixtures import api as api
from tests.api.fixtures import stranger as stranger
from tests.tasks.together import together
from vbase_console.core.errors import ResourceExhausted
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import enqueue
from vbase_console.tasks.services import request_cancel as cancel

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def full(make_cluster: MakeCluster, settings: Any) -> Cluster:
    """A running cluster with as many unfinished tasks as it may have."""
    settings.MAX_WAITING_PER_CLUSTER = 2
    cluster = make_cluster()
    for _ in range(2):
        services.restart_cluster(cluster, by="alice")
    return cluster


@pytest.fixture
def policy(full: Cluster) -> BackupPolicy:
    return create_policy(full, PolicySpec(schedule_cron="0 3 * * *", retention_count=2))


def test_a_change_beyond_the_limit_of_its_cluster_is_refused(full: Cluster) -> None:
    with pytest.raises(ResourceExhausted, match=f"{full.cluster_id} has 2 unfinished tasks"):
        services.restart_cluster(full, by="alice")


def test_a_change_is_accepted_when_one_has_ended(full: Cluster) -> None:
    cancel(Task.objects.active().latest("pk"), by="alice")
    assert services.restart_cluster(full, by="alice").is_active


def test_finished_tasks_do_not_count(make_cluster: MakeCluster, settings: Any, work: Any) -> None:
    settings.MAX_WAITING_PER_CLUSTER = settings.MAX_WAITING_PER_ORGANIZATION = 1
    cluster = make_cluster()
    for _ in range(3):
        services.restart_cluster(cluster, by="alice")
        work()


def test_another_cluster_has_a_limit_of_its_own(full: Cluster, make_cluster: MakeCluster) -> None:
    assert services.restart_cluster(make_cluster("other"), by="alice").is_active


def test_the_organization_has_a_limit_over_all_its_clusters(
    full: Cluster, principal: Principal, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ORGANIZATION = 3
    services.create_cluster(principal, name="third")
    with pytest.raises(ResourceExhausted, match="Your organization has 3 unfinished tasks"):
        services.create_cluster(principal, name="fourth")
    assert not Cluster.objects.filter(name="fourth").exists()


def test_a_full_organization_does_not_limit_another(
    full: Cluster, stranger: Api, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ORGANIZATION = 2
    assert stranger.post("/clusters", name="theirs").status == 200


def test_a_deletion_is_never_refused(full: Cluster) -> None:
    assert services.delete_cluster(full, by="alice")[0].is_active


def test_healing_is_never_refused(
    full: Cluster, driver: MemoryDriver, work: Any, settings: Any
) -> None:
    work()
    settings.MAX_WAITING_PER_ORGANIZATION = 1
    enqueue(organization_id=full.organization_id, kind="RESTART", subject_id="another")
    driver.crash(full.cluster_id)
    sweep_clusters()
    assert Task.objects.filter(subject_id=full.cluster_id, requested_by="console").exists()


def test_a_run_of_a_policy_is_skipped_with_the_reason(policy: BackupPolicy) -> None:
    run = start_run(policy, planned_at=policy.created_at, by="policy")
    assert run.status == "SKIPPED"
    assert f"{policy.cluster_id} has 2 unfinished tasks" in run.skip_reason


def test_a_run_that_a_person_asks_for_is_refused_and_leaves_no_run(policy: BackupPolicy) -> None:
    with pytest.raises(ResourceExhausted):
        run_now(policy, by="alice")
    assert not policy.runs.exists()


def test_the_api_answers_429_and_when_to_try_again(full: Cluster, api: Api) -> None:
    said = api.post(f"/clusters/{full.cluster_id}/restart")
    assert (said.status, said.code) == (429, "RESOURCE_EXHAUSTED")
    assert said.header("Retry-After") == "10"


def test_the_refusal_is_not_kept_for_an_idempotency_key(full: Cluster, api: Api) -> None:
    def restart() -> int:
        path = f"/clusters/{full.cluster_id}/restart"
        return api.send("POST", path, Idempotency_Key="one").status

    assert restart() == 429
    cancel(Task.objects.active().latest("pk"), by="alice")
    assert restart() == 200


def test_counting_costs_the_same_however_many_tasks_there_are(
    make_cluster: MakeCluster, principal: Principal
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            enqueue(
                organization_id=principal.organization_id,
                kind="RESTART",
                subject_id=cluster.cluster_id,
                quota_key=cluster.cluster_id,
            )
        return len(captured)

    cluster = make_cluster()
    before = queries()
    for _ in range(20):
        queries()
    assert queries() == before


def test_thirty_two_at_once_do_not_exceed_the_limit_of_a_cluster(
    make_cluster: MakeCluster, settings: Any
) -> None:
    settings.MAX_WAITING_PER_CLUSTER = 5
    cluster = make_cluster()
    together(32, lambda number: _unless_full(services.restart_cluster, cluster, by="alice"))
    assert Task.objects.active().count() == 5


def test_thirty_two_at_once_do_not_exceed_the_limit_of_an_organization(
    principal: Principal, settings: Any, transactional_db: None
) -> None:
    settings.MAX_WAITING_PER_ORGANIZATION = 5
    together(32, lambda number: _unless_full(services.create_cluster, principal, name=f"c{number}"))
    assert Task.objects.active().count() == Cluster.objects.count() == 5


def _unless_full(service: Callable[..., object], *args: Any, **fields: Any) -> None:
    try:
        service(*args, **fields)
    except ResourceExhausted:
        return
