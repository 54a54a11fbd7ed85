from __future__ import annotations

from collections.abc import Callable

from clusters import services
from clusters.models import Cluster
from tests.web.conftest import Browser

MakeCluster = Callable[..., Cluster]


def test_it_counts_living_clusters_by_status(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster("a")
    make_cluster("b")
    make_cluster("c", running=False)
    assert alices.open("overview").context["statuses"] == [("CREATING", 1), ("RUNNING", 2)]


def test_running_tasks_move_on_it_until_they_have_ended(
    make_cluster: MakeCluster, alices: Browser, work: Callable[[], int]
) -> None:
    services.restart_cluster(make_cluster(), by="alice")
    assert b' data-busy=""' in alices.open("overview", htmx=True).content
    work()
    assert b' data-busy=""' not in alices.open("overview", htmx=True).content


def test_an_empty_organization_says_what_to_do_next(alices: Browser, bobs: Browser) -> None:
    assert b"Create the first cluster" in alices.open("overview").content
    assert b"Create the first cluster" not in bobs.open("overview").content


def test_nobody_counts_the_clusters_of_others(make_cluster: MakeCluster, charlies: Browser) -> None:
    make_cluster()
    charlies.organization = "other"
    assert charlies.open("overview").context["statuses"] == []
