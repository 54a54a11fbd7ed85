from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api, Said

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


def scale(api: Api, cluster: Cluster, **config: object) -> Said:
    return api.post(f"/clusters/{cluster.cluster_id}/scale", resourceConfig=config)


def test_it_answers_the_message_alone(api: Api, cluster: Cluster) -> None:
    said = scale(api, cluster, computeUnits=2)
    task_id = said.header("Operation-Id")
    message = f"{task_id} (SCALING) was accepted."
    assert said.body == {"success": True, "code": "OK", "message": message}


def test_its_errors_come_in_the_envelope(api: Api, cluster: Cluster) -> None:
    said = scale(api, cluster, computeUnits=65)
    assert said.body["response"]["success"] is False
    assert said.code == "INVALID_ARGUMENT"


def test_what_is_left_out_or_null_stays(
    api: Api, cluster: Cluster, work: Callable[[], int]
) -> None:
    scale(api, cluster, computeUnits=2, maxComputeUnits=None)
    scale(api, cluster, enableAutoScaling=True, maxComputeUnits=4)
    work()
    cluster.refresh_from_db()
    assert (cluster.compute_units, cluster.max_compute_units) == (2, 4)
    assert cluster.enable_auto_scaling


def test_another_version_makes_it_an_upgrade(api: Api, cluster: Cluster) -> None:
    said = scale(api, cluster, version="2.0.0")
    assert "(VERSION_UPGRADE)" in said["message"]


def test_what_holds_already_is_refused(api: Api, cluster: Cluster) -> None:
    assert scale(api, cluster, computeUnits=1).code == "FAILED_PRECONDITION"
    assert scale(api, cluster).code == "FAILED_PRECONDITION"


def test_the_resources_must_be_named(api: Api, cluster: Cluster) -> None:
    said = api.post(f"/clusters/{cluster.cluster_id}/scale")
    assert list(said.field_errors) == ["resourceConfig"]


@pytest.mark.parametrize("config", [[], "large", 5, True])
def test_the_resources_must_be_an_object(api: Api, cluster: Cluster, config: object) -> None:
    said = api.post(f"/clusters/{cluster.cluster_id}/scale", resourceConfig=config)
    assert list(said.field_errors) == ["resourceConfig"]


def test_an_unknown_resource_is_named_with_its_path(api: Api, cluster: Cluster) -> None:
    said = scale(api, cluster, computeUnit=2)
    assert "computeUnits" in said.field_errors["resourceConfig.computeUnit"][0]


def test_while_a_deletion_is_under_way_it_is_aborted(api: Api, cluster: Cluster) -> None:
    deletion = api.delete(f"/clusters/{cluster.cluster_id}").header("Operation-Id")
    said = scale(api, cluster, computeUnits=2)
    assert (said.status, said.code) == (409, "ABORTED")
    assert said.header("Retry-After")
    assert str(deletion) in said["response"]["message"]
