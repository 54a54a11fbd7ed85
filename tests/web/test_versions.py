"""Pages about versions: the plan of a change, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


def upgraded(make_cluster: MakeCluster, work: Work) -> Cluster:
    cluster = make_cluster(resources={"version": "2.0.0"})
    services.scale_cluster(cluster, changes={"version": "2.1.0"}, by="alice")
    work()
    return cluster


def test_the_page_of_a_change_states_what_is_kept_and_needed(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster(resources={"version": "2.0.0"})
    page = alices.open("cluster-upgrade", cluster.pk).content.decode()
    assert "Current version: 2.0.0." in page
    assert "Free disk space needed for the copy" in page


def test_going_back_is_offered_named_and_requested(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = upgraded(make_cluster, work)
    assert "Go back to 2.0.0" in alices.open("cluster-detail", cluster.pk).content.decode()
    page = alices.open("cluster-go-back", cluster.pk).content.decode()
    assert "Everything written since" in page
    alices.send("cluster-go-back", cluster.pk)
    task = Task.objects.first()
    assert (task.kind, task.arguments["go_back"]) == ("VERSION_UPGRADE", True)


def test_pages_say_which_clusters_run_a_version_that_is_not_shipped_any_more(
    make_cluster: MakeCluster,
    alices: Browser,
    driver: MemoryDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = make_cluster("old", resources={"version": "2.0.0"})
    make_cluster("new")
    assert b"no longer ships" not in alices.open("overview").content
    newer = dataclasses.replace(driver.capabilities, versions=("2.1.0",))
    monkeypatch.setattr(driver, "capabilities", newer)
    page = alices.open("overview").content.decode()
    assert "1 cluster runs</a> a version that this console no longer ships: 2.0.0." in page
    assert alices.open("cluster-list").context["unshipped"] == {old.pk}
    listed = alices.open("cluster-list", shipped="no")
    assert list(listed.context["rows"]) == [old]
    assert b"no longer shipped</span>" in listed.content
    assert b"no longer shipped" in alices.open("cluster-detail", old.pk).content


def test_without_a_copy_the_page_names_the_remedy(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    page = alices.open("cluster-go-back", make_cluster().pk).content.decode()
    assert "Restore a backup instead" in page
