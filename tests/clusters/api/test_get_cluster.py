from __future__ import annotations

from collections.abc import Callable

from clusters.models import Cluster
from tests.api.client import Api

MakeCluster = Callable[..., Cluster]


def address(cluster: Cluster) -> str:
    return f"/{cluster.organization_id}/clusters/{cluster.cluster_id}"


def test_it_answers_the_cluster_as_a_service(api: Api, make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    said = api.get(address(cluster))
    assert said["cluster"]["serviceStatus"] == "RUNNING"
    assert said["cluster"]["clusterId"] == cluster.cluster_id
    assert said["response"] == {"success": True}


def test_it_answers_resources_backup_and_settings(api: Api, make_cluster: MakeCluster) -> None:
    configuration = api.get(address(make_cluster()))["configuration"]
    assert configuration["resources"] == {
        "version": "2.1.0",
        "computeUnits": 1,
        "enableAutoScaling": False,
        "maxComputeUnits": 1,
        "enableReplicas": False,
        "replicas": 1,
    }
    assert configuration["settings"]["driver"] == "memory"
    assert configuration["settings"]["availableVersions"] == ["2.1.0", "2.0.0"]


def test_without_backups_it_says_so_field_by_field(api: Api, make_cluster: MakeCluster) -> None:
    assert api.get(address(make_cluster()))["configuration"]["backup"] == {
        "policyCount": 0,
        "lastBackupAt": None,
        "lastProvenAt": None,
        "nextBackupAt": None,
    }


def test_a_deleted_cluster_can_still_be_read(
    api: Api, make_cluster: MakeCluster, work: Callable[[], int]
) -> None:
    cluster = make_cluster()
    api.delete(f"/clusters/{cluster.cluster_id}")
    work()
    assert api.get(address(cluster))["cluster"]["serviceStatus"] == "DELETED"


def test_a_stranger_finds_nothing(stranger: Api, make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    theirs = stranger.get("/me")["organizationId"]
    assert stranger.get(address(cluster)).status == 404
    assert stranger.get(f"/{theirs}/clusters/{cluster.cluster_id}").status == 404


def test_another_organization_in_the_address_is_not_found(
    api: Api, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster()
    assert api.get(f"/nobody/clusters/{cluster.cluster_id}").code == "NOT_FOUND"


def test_a_nul_in_an_id_is_not_found(api: Api, make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert api.get(f"/{cluster.organization_id}/clusters/vc-%00").code == "NOT_FOUND"


def test_head_is_answered_like_get(api: Api, make_cluster: MakeCluster) -> None:
    said = api.send("HEAD", address(make_cluster()))
    assert said.status == 200
    assert not said.response.content
