"""The status of attached clusters follows their servers, at a bounded cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.policies.dispatch import fire_due
from backups.policies.models import BackupPolicy, PolicyRun
from clusters import reconcile
from clusters.drivers import attached as attached_driver
from clusters.models import Cluster
from clusters.reconcile import MAX_OBSERVATION_PAUSE, UNRESPONSIVE_GRACE
from clusters.sweeps import sweep_clusters
from tests.api.client import Api
from tests.clusters.attached.servers import FakeMilvus, RawServer, hang
from tests.drivers.launched import TOKEN
from vbase_console.core.addresses import parse_networks
from vbase_console.tasks.models import Task

Attach = Callable[..., Cluster]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached_driver, "OBSERVE_SECONDS", 0.3)


@pytest.fixture
def cluster(attach: Attach, fake: FakeMilvus) -> Cluster:
    return attach(fake.port)


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def make_due(cluster: Cluster, *, silent_for: timedelta = timedelta(0)) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(
        observe_after=None, seen_at=timezone.now() - silent_for
    )


def test_a_server_that_answers_stays_running(cluster: Cluster) -> None:
    sweep_clusters()
    assert now(cluster).status == "RUNNING"


def test_a_new_version_is_seen(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.version = "v2.6.1"
    sweep_clusters()
    assert now(cluster).version == "v2.6.1"


def test_a_refused_token_is_an_error_with_its_reason(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.token = "another token"
    sweep_clusters()
    assert now(cluster).status == "ERROR"
    assert now(cluster).status_message == (
        f"127.0.0.1:{fake.port} refused the token. Give the token of a user of this server."
    )


def test_it_runs_again_by_itself(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.token = "another token"
    sweep_clusters()
    fake.token = TOKEN
    make_due(cluster)
    sweep_clusters()
    assert (now(cluster).status, now(cluster).status_message) == ("RUNNING", "")


def test_a_server_that_is_busy_for_a_moment_stays_running(
    cluster: Cluster, fake: FakeMilvus
) -> None:
    fake.answering.clear()
    sweep_clusters()
    assert now(cluster).status == "RUNNING"


def test_a_server_that_is_silent_is_an_error(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.answering.clear()
    make_due(cluster, silent_for=UNRESPONSIVE_GRACE + timedelta(seconds=1))
    sweep_clusters()
    assert now(cluster).status == "ERROR"
    assert "did not answer in time" in now(cluster).status_message


def test_no_task_tries_to_heal_it(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.token = "another token"
    sweep_clusters()
    assert [task.kind for task in Task.objects.all()] == ["DEPLOYMENT"]


def test_a_backup_of_a_cluster_in_error_is_refused_with_the_reason(
    api: Api, cluster: Cluster, fake: FakeMilvus
) -> None:
    fake.token = "another token"
    sweep_clusters()
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"])
    assert said.code == "FAILED_PRECONDITION"
    assert "refused the token" in said["response"]["message"]
    assert "Start it" not in said["response"]["message"]


def test_a_policy_run_on_a_cluster_in_error_is_skipped_with_the_reason(
    api: Api, cluster: Cluster, fake: FakeMilvus
) -> None:
    made = api.post(
        f"/{cluster.service_id}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3
    )
    fake.token = "another token"
    sweep_clusters()
    said = api.post(f"/{cluster.service_id}/backup/policy/{made['policy']['policyId']}/run")
    assert said.code == "FAILED_PRECONDITION"
    assert "refused the token" in said["response"]["message"]


def test_a_scheduled_run_on_a_cluster_in_error_is_skipped_with_the_reason(
    api: Api, cluster: Cluster, fake: FakeMilvus
) -> None:
    api.post(f"/{cluster.service_id}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3)
    fake.token = "another token"
    sweep_clusters()
    BackupPolicy.objects.update(next_run_at=timezone.now())
    assert fire_due() == 1
    run = PolicyRun.objects.get()
    assert run.job is None
    assert "refused the token" in run.skip_reason


# Cost


def test_a_silent_server_is_asked_again_after_half_of_its_silence(
    cluster: Cluster, fake: FakeMilvus
) -> None:
    fake.answering.clear()
    make_due(cluster, silent_for=timedelta(seconds=60))
    sweep_clusters()
    pause = now(cluster).observe_after - timezone.now()  # type: ignore[operator]
    assert timedelta(seconds=25) < pause < timedelta(seconds=35)


def test_no_pause_is_longer_than_a_minute(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.answering.clear()
    make_due(cluster, silent_for=timedelta(days=30))
    sweep_clusters()
    assert now(cluster).observe_after < timezone.now() + MAX_OBSERVATION_PAUSE  # type: ignore[operator]


def test_a_server_in_its_pause_is_not_asked(cluster: Cluster, fake: FakeMilvus) -> None:
    Cluster.objects.update(observe_after=timezone.now() + timedelta(seconds=30))
    fake.received.clear()
    sweep_clusters()
    assert fake.received == []


def test_a_pause_from_before_the_clock_was_set_back_is_ignored(
    cluster: Cluster, fake: FakeMilvus
) -> None:
    Cluster.objects.update(observe_after=timezone.now() + timedelta(hours=1))
    fake.received.clear()
    sweep_clusters()
    assert fake.received == [TOKEN]


def test_those_that_answered_are_observed_before_those_that_hang(
    attach: Attach, cluster: Cluster, fake: FakeMilvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = []
    for number in range(3):
        with FakeMilvus(token=TOKEN) as other:
            silent.append(attach(other.port, name=f"silent {number}"))
    with RawServer(hang) as server:
        ids = [each.pk for each in silent]
        Cluster.objects.filter(pk__in=ids).update(port=server.port, condition="BROKEN")
        monkeypatch.setattr(reconcile, "PARALLEL_CHECKS", 1)
        monkeypatch.setattr(reconcile, "ATTACHED_ROUND_SECONDS", 0.2)
        fake.received.clear()
        sweep_clusters()
        observed = server.connections
    assert fake.received == [TOKEN]
    assert observed <= 2  # one server: the probe and the call


def test_a_second_round_does_not_begin_beside_the_first(cluster: Cluster, fake: FakeMilvus) -> None:
    fake.received.clear()
    with reconcile._observing_attached:
        sweep_clusters()
    assert fake.received == []


def test_a_token_that_cannot_be_read_is_an_error_of_its_cluster_only(
    attach: Attach, cluster: Cluster, fake: FakeMilvus
) -> None:
    other = attach(fake.port, name="other", endpoint="localhost")
    Cluster.objects.filter(pk=cluster.pk).update(sealed_token="sealed with another key")
    sweep_clusters()
    assert (now(cluster).status, now(other).status) == ("ERROR", "RUNNING")
    assert "VBASE_SECRET_KEY" in now(cluster).status_message


def test_the_name_that_was_given_is_kept(attach: Attach, fake: FakeMilvus) -> None:
    cluster = attach(fake.port, endpoint="localhost")
    sweep_clusters()
    assert now(cluster).host == "localhost"


def test_an_address_that_is_no_longer_allowed_is_an_error(
    cluster: Cluster, fake: FakeMilvus, settings: object
) -> None:
    settings.ATTACH_NETWORKS = parse_networks("VBASE_ATTACH_NETWORKS", ["10.0.0.0/8"])  # type: ignore[attr-defined]
    fake.received.clear()
    sweep_clusters()
    assert "VBASE_ATTACH_NETWORKS" in now(cluster).status_message
    assert fake.received == []
