from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster(labels={"Team_Name": "a", "teamName": "b"})


def test_it_changes_what_it_names_and_nothing_else(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.cluster_id}", name="renamed")
    assert said["cluster"]["name"] == "renamed"
    assert said["cluster"]["labels"] == {"Team_Name": "a", "teamName": "b"}


def test_what_changes_nothing_leaves_no_newer_time(api: Api, cluster: Cluster) -> None:
    address = f"/clusters/{cluster.cluster_id}"
    same = {"name": cluster.name, "labels": cluster.labels, "deletionProtection": False}
    for body in ({}, same):
        api.patch(address, **body)
        assert Cluster.objects.get(pk=cluster.pk).updated_at == cluster.updated_at


def test_labels_are_replaced_as_a_whole(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.cluster_id}", labels={"snake_case": "x"})
    assert said["cluster"]["labels"] == {"snake_case": "x"}


def test_protection_is_switched_on_and_off(api: Api, cluster: Cluster) -> None:
    address = f"/clusters/{cluster.cluster_id}"
    assert api.patch(address, deletionProtection=True)["cluster"]["deletionProtection"]
    assert api.delete(address).code == "FAILED_PRECONDITION"
    assert not api.patch(address, deletion_protection=False)["cluster"]["deletionProtection"]
    assert api.delete(address).status == 200


def test_it_starts_no_task_and_says_where_the_cluster_is(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.cluster_id}", name="renamed")
    assert said.header("Operation-Id") is None
    assert api.get(said.header("Location") or "")["cluster"]["name"] == "renamed"


@pytest.mark.parametrize("labels", [{"a": 1}, {"a": None}, {"": "x"}, ["a"], "a", {"k" * 64: "v"}])
def test_it_refuses_labels_that_cannot_be(api: Api, cluster: Cluster, labels: object) -> None:
    said = api.patch(f"/clusters/{cluster.cluster_id}", labels=labels)
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", ["labels"])


def test_a_name_that_is_taken_is_refused(
    api: Api, cluster: Cluster, make_cluster: MakeCluster
) -> None:
    make_cluster("other")
    said = api.patch(f"/clusters/{cluster.cluster_id}", name="other")
    assert (said.status, said.code) == (409, "ALREADY_EXISTS")


def test_an_id_in_the_body_must_be_that_of_the_address(api: Api, cluster: Cluster) -> None:
    address = f"/clusters/{cluster.cluster_id}"
    assert api.patch(address, clusterId=cluster.cluster_id).status == 200
    said = api.patch(address, clusterId="vc-other")
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", ["clusterId"])
