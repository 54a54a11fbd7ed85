from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters import services
from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.organizations.models import Organization

MakeCluster = Callable[..., Cluster]
ODD = {
    "1": "2",
    'quo"te': "it's",
    "dot.ted": "$[0]",
    "käse": "größe",
    "a__b": "%",
    "back\\slash": "",
}


def names(answer: Any) -> list[str]:
    return [cluster.name for cluster in answer.context["rows"]]


def test_it_filters_by_status(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster("runs")
    make_cluster("comes", running=False)
    assert names(alices.open("cluster-list", status="CREATING")) == ["comes"]


@pytest.mark.parametrize(("label", "found"), [("env", 2), ("env=dev", 1), ("env=", 0), ("x", 0)])
def test_it_filters_by_label(
    make_cluster: MakeCluster, alices: Browser, label: str, found: int
) -> None:
    make_cluster("one", labels={"env": "dev"})
    make_cluster("two", labels={"env": "prod"})
    assert len(names(alices.open("cluster-list", label=label))) == found


@pytest.mark.parametrize(("key", "value"), ODD.items())
def test_it_finds_labels_of_any_spelling(
    make_cluster: MakeCluster, alices: Browser, key: str, value: str
) -> None:
    make_cluster("odd", labels=ODD)
    make_cluster("plain", labels={"env": "dev"})
    assert names(alices.open("cluster-list", label=key)) == ["odd"]
    assert names(alices.open("cluster-list", label=f"{key}={value}")) == ["odd"]
    assert names(alices.open("cluster-list", label=f"{key}=another")) == []


def test_a_label_leads_to_its_clusters(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster("odd", labels={"a&b": "c=d"})
    assert b"?label=a%26b%3Dc%3Dd" in alices.open("cluster-list").content
    assert names(alices.open("cluster-list", label="a&b=c=d")) == ["odd"]


def test_it_searches_names_and_ids(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster("Product search")
    make_cluster("other")
    assert names(alices.open("cluster-list", q="product")) == ["Product search"]
    assert names(alices.open("cluster-list", q=cluster.service_id)) == ["Product search"]


def test_it_sorts_on_the_server(make_cluster: MakeCluster, alices: Browser) -> None:
    for name in ("b", "a", "c"):
        make_cluster(name)
    assert names(alices.open("cluster-list")) == ["c", "a", "b"]
    assert names(alices.open("cluster-list", sort="name")) == ["a", "b", "c"]
    assert names(alices.open("cluster-list", sort="-name")) == ["c", "b", "a"]
    assert names(alices.open("cluster-list", sort="sealed_token")) == ["c", "a", "b"]


def test_it_pages(alices: Browser, organization: Organization) -> None:
    rows = [Cluster(organization=organization, name=f"c{n}", version="1") for n in range(60)]
    Cluster.objects.bulk_create(rows)
    assert len(names(alices.open("cluster-list"))) == 50
    answer = alices.open("cluster-list", page=2, sort="name")
    assert len(names(answer)) == 10
    assert b"?page=1&amp;sort=name" in answer.content


def test_deleted_clusters_are_listed_when_asked_for(
    make_cluster: MakeCluster, alices: Browser, work: Callable[[], int]
) -> None:
    services.delete_cluster(make_cluster("gone"), by="alice")
    work()
    assert names(alices.open("cluster-list")) == []
    assert names(alices.open("cluster-list", status="DELETED")) == ["gone"]


def test_nonsense_in_the_address_narrows_nothing(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    make_cluster("one")
    answer = alices.open("cluster-list", status="NONSENSE", q="\0", page="x", label="=")
    assert answer.status_code == 200


def test_it_refreshes_itself_only_while_something_is_under_way(
    make_cluster: MakeCluster, alices: Browser, work: Callable[[], int]
) -> None:
    make_cluster("one", running=False)
    assert b' data-busy=""' in alices.open("cluster-list", htmx=True).content
    work()
    assert b' data-busy=""' not in alices.open("cluster-list", htmx=True).content


def test_htmx_gets_the_table_alone(make_cluster: MakeCluster, alices: Browser) -> None:
    make_cluster("one")
    content = alices.open("cluster-list", htmx=True).content
    assert b"<html" not in content
    assert b'<div id="list"' in content


def test_an_empty_list_says_what_to_do_next(alices: Browser, bobs: Browser) -> None:
    assert b"Create the first cluster" in alices.open("cluster-list").content
    assert b"Create the first cluster" not in bobs.open("cluster-list").content
    assert b"Show all clusters" in alices.open("cluster-list", q="nothing").content
