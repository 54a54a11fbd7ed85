"""Rollouts over REST. `tests/clusters/test_rollouts.py` has the rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api, Said

OLD, NEW = "2.0.0", "2.1.0"


@pytest.fixture
def clusters(make_cluster: Callable[..., Cluster]) -> list[Cluster]:
    return [make_cluster(name, resources={"version": OLD}) for name in ("one", "two")]


def create(api: Api, clusters: list[Cluster], path: str = "/rollouts") -> Said:
    return api.post(path, version=NEW, clusterIds=[cluster.pk for cluster in clusters])


def test_it_is_created_read_and_listed(
    api: Api, clusters: list[Cluster], work: Callable[[], int]
) -> None:
    said = create(api, clusters)
    assert [step["status"] for step in said["rollout"]["steps"]] == ["WAITING", "WAITING"]
    address = said.header("Location")
    assert address == f"/v1/vbase/rollouts/{said['rollout']['rolloutId']}"
    work()
    read = api.get(address.removeprefix("/v1/vbase"))["rollout"]
    assert (read["status"], read["message"]) == ("SUCCEEDED", "Upgraded: 2.")
    listed = api.get("/rollouts")
    assert (listed["total"], listed["rollouts"][0]["succeededCount"]) == (1, 2)


def test_the_plan_changes_nothing(api: Api, clusters: list[Cluster]) -> None:
    plan = create(api, clusters, "/rollouts/plan")["plan"]
    assert [(step["name"], step["refusal"]) for step in plan["steps"]] == [
        ("one", None),
        ("two", None),
    ]
    assert api.get("/rollouts")["total"] == 0


def test_what_has_not_begun_is_cancelled(api: Api, clusters: list[Cluster]) -> None:
    rollout_id = create(api, clusters)["rollout"]["rolloutId"]
    steps = api.post(f"/rollouts/{rollout_id}/cancel")["rollout"]["steps"]
    assert [step["status"] for step in steps] == ["RUNNING", "NOT_BEGUN"]


def test_a_cluster_twice_is_invalid(api: Api, clusters: list[Cluster]) -> None:
    assert list(create(api, clusters * 2).field_errors) == ["clusterIds"]


def test_a_stranger_finds_neither_clusters_nor_rollout(
    api: Api, stranger: Api, clusters: list[Cluster]
) -> None:
    rollout_id = create(api, clusters)["rollout"]["rolloutId"]
    assert create(stranger, clusters).code == "NOT_FOUND"
    assert stranger.get(f"/rollouts/{rollout_id}").code == "NOT_FOUND"
