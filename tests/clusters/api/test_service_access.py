from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.models import AuditEntry

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


def test_it_tells_where_to_connect_and_with_what(api: Api, cluster: Cluster) -> None:
    said = api.get(f"/{cluster.service_id}/access")
    assert said.body == {
        "endpoint": cluster.host,
        "port": cluster.port,
        "dbName": "default",
        "token": cluster.token,
        "response": {"success": True},
    }


def test_nobody_between_keeps_a_copy(api: Api, cluster: Cluster) -> None:
    assert api.get(f"/{cluster.service_id}/access").header("Cache-Control") == "no-store"


def test_before_there_is_an_endpoint_it_says_so(api: Api, make_cluster: MakeCluster) -> None:
    said = api.get(f"/{make_cluster(running=False).service_id}/access")
    assert (said.status, said.code) == (400, "FAILED_PRECONDITION")


def test_of_a_deleted_cluster_no_token_is_left_and_it_says_why(
    api: Api, cluster: Cluster, work: Callable[[], int]
) -> None:
    services.delete_cluster(cluster, by="alice")
    work()
    said = api.get(f"/{cluster.service_id}/access")
    assert said.code == "FAILED_PRECONDITION"
    assert said["response"]["message"] == (
        f"{cluster.service_id} is DELETED. It has no endpoint and no token."
    )
    assert Cluster.objects.get().sealed_token == ""


def test_rotating_where_there_is_no_endpoint_yet_says_so(
    api: Api, make_cluster: MakeCluster
) -> None:
    said = api.post(f"/{make_cluster(running=False).service_id}/access/rotate")
    assert said.code == "FAILED_PRECONDITION"
    assert "no endpoint yet" in said["response"]["message"]


def test_rotating_answers_the_new_token(api: Api, cluster: Cluster) -> None:
    said = api.post(f"/{cluster.service_id}/access/rotate")
    assert said.status == 200
    assert said["token"] != cluster.token
    assert said["token"] == api.get(f"/{cluster.service_id}/access")["token"]


def test_a_cluster_that_does_not_take_it_keeps_the_old_token(
    api: Api, cluster: Cluster, driver: MemoryDriver
) -> None:
    driver.fail_next("rotate", DriverError("it does not answer"))
    said = api.post(f"/{cluster.service_id}/access/rotate")
    assert (said.status, said.code) == (503, "UNAVAILABLE")
    assert said.header("Retry-After")
    assert api.get(f"/{cluster.service_id}/access")["token"] == cluster.token


def test_who_read_the_token_is_kept(api: Api, cluster: Cluster) -> None:
    api.get(f"/{cluster.service_id}/access")
    entry = AuditEntry.objects.get(action="GetServiceAccess")
    assert (entry.outcome, entry.object_id) == ("ACCEPTED", cluster.service_id)
