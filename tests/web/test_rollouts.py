"""Pages of rollouts: choose clusters, read the plan, start, follow and cancel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters import services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, Rollout
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry

MakeCluster = Callable[..., Cluster]
OLD, NEW = "2.0.0", "2.1.0"


@pytest.fixture
def clusters(make_cluster: MakeCluster) -> list[Cluster]:
    return [make_cluster(name, resources={"version": OLD}) for name in ("one", "two", "three")]


def ids(clusters: list[Cluster]) -> list[str]:
    return [cluster.pk for cluster in clusters]


def started(clusters: list[Cluster], alices: Browser) -> Rollout:
    alices.send("rollout-create", id=ids(clusters), version=NEW, backup="first")
    return Rollout.objects.get()


def fail_upgrades(driver: MemoryDriver) -> None:
    """Also the next attempts, because on a busy machine the first one may lose its lease."""
    for _ in range(3):
        driver.fail_next("upgrade", DriverError("The disk is full.", permanent=True))


def test_clusters_are_selected_in_their_list(
    clusters: list[Cluster], alices: Browser, bobs: Browser
) -> None:
    page = alices.open("cluster-list").content.decode()
    assert f'formaction="{alices.address("rollout-create")}"' in page
    assert all(f'value="{cluster.pk}"' in page for cluster in clusters)
    assert 'type="checkbox"' not in bobs.open("cluster-list").content.decode()


def test_the_plan_states_what_each_upgrade_would_do_and_who_is_left_out(
    clusters: list[Cluster], make_cluster: MakeCluster, alices: Browser
) -> None:
    chosen = [*clusters, make_cluster("newest", resources={"version": NEW})]
    page = alices.open("rollout-create", id=ids(chosen), version=NEW).content.decode()
    assert "<h1>Change the version of 4 clusters</h1>" in page
    assert page.count(f"<td>{OLD} to {NEW}</td>") == 3
    assert "newest has this version already" in page
    assert not Rollout.objects.exists()


def test_it_is_started_followed_and_audited(
    clusters: list[Cluster], alices: Browser, work: Callable[[], int]
) -> None:
    rollout = started(clusters, alices)
    page = alices.open("rollout-detail", rollout.pk).content.decode()
    assert 'id="progress-task-' in page
    assert "Waiting: " in page
    assert AuditEntry.objects.values_list("action", "object_id").last() == (
        "CreateRollout",
        rollout.pk,
    )
    work()
    page = alices.open("rollout-detail", rollout.pk).content.decode()
    assert "Upgraded: 3." in page
    assert "Upgrade the remaining clusters" not in page
    assert "3 of 3" in alices.open("rollout-list").content.decode()


def test_waiting_upgrades_are_cancelled(clusters: list[Cluster], alices: Browser) -> None:
    rollout = started(clusters, alices)
    asked = alices.open("rollout-cancel", rollout.pk).content.decode()
    assert ("<h2>Lost</h2>" in asked, "they keep their version" in asked) == (True, True)
    alices.send("rollout-cancel", rollout.pk)
    page = alices.open("rollout-detail", rollout.pk).content.decode()
    assert "Not begun: " in page
    assert "Cancelled by alice@example.com before its turn." in page
    assert "Cancel waiting upgrades" not in page


def test_the_remaining_clusters_are_chosen_again_after_a_failure(
    clusters: list[Cluster], alices: Browser, work: Callable[[], int], driver: MemoryDriver
) -> None:
    fail_upgrades(driver)
    rollout = started(clusters, alices)
    work()
    page = alices.open("rollout-detail", rollout.pk)
    assert "The disk is full." in page.content.decode()
    plan = alices.client.get(page.context["remaining"]).content.decode()
    assert "<h1>Change the version of 3 clusters</h1>" in plan


def test_a_refusal_names_clusters_and_begins_nothing(
    clusters: list[Cluster], alices: Browser
) -> None:
    services.stop_cluster(clusters[0], by="alice")
    services.scale_cluster(clusters[1], changes={"version": NEW}, by="alice", backup_first=False)
    answer = alices.send("rollout-create", id=ids(clusters), version=NEW, backup="first")
    assert answer.status_code == 400
    assert "two has this version already, or will have it after task-" in answer.content.decode()
    assert not Rollout.objects.exists()


def test_a_plan_costs_the_same_for_many_clusters_as_for_one(
    clusters: list[Cluster], alices: Browser
) -> None:
    alices.open("rollout-create", id=ids(clusters))
    with CaptureQueriesContext(connection) as one:
        alices.open("rollout-create", id=ids(clusters[:1]))
    with CaptureQueriesContext(connection) as many:
        alices.open("rollout-create", id=ids(clusters))
    assert len(many) == len(one)


def test_without_a_selection_it_says_so(alices: Browser) -> None:
    assert alices.open("rollout-create").url == alices.address("cluster-list")
    assert b"Select at least one cluster." in alices.open("cluster-list").content


def test_clusters_of_others_are_not_planned(clusters: list[Cluster], charlies: Browser) -> None:
    charlies.organization = "other"
    assert charlies.open("rollout-create", id=ids(clusters)).status_code == 302
    answer = charlies.send("rollout-create", id=ids(clusters), version=NEW, backup="none")
    assert answer.status_code == 404


def test_a_viewer_follows_and_changes_nothing(
    clusters: list[Cluster], alices: Browser, bobs: Browser
) -> None:
    rollout = started(clusters, alices)
    page = bobs.open("rollout-detail", rollout.pk).content.decode()
    assert "Cancel waiting upgrades" not in page
    assert bobs.send("rollout-cancel", rollout.pk).status_code == 403
    assert bobs.open("rollout-create", id=ids(clusters)).status_code == 403
