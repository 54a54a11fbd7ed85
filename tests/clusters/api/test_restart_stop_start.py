from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api

MakeCluster = Callable[..., Cluster]


@pytest.mark.parametrize(("verb", "kind"), [("restart", "RESTART"), ("stop", "STOP")])
def test_a_running_cluster_can_be_asked(
    api: Api, make_cluster: MakeCluster, verb: str, kind: str
) -> None:
    said = api.post(f"/clusters/{make_cluster().cluster_id}/{verb}")
    assert said.status == 200
    assert api.get(said.header("Location") or "")["task"]["taskType"] == kind


def test_a_stopped_cluster_starts(
    api: Api, make_cluster: MakeCluster, work: Callable[[], int]
) -> None:
    cluster = make_cluster()
    api.post(f"/clusters/{cluster.cluster_id}/stop")
    work()
    assert api.get(f"/{cluster.service_id}")["service"]["serviceStatus"] == "STOPPED"
    assert api.post(f"/clusters/{cluster.cluster_id}/start").status == 200


def test_starting_what_runs_is_refused(api: Api, make_cluster: MakeCluster) -> None:
    said = api.post(f"/clusters/{make_cluster().cluster_id}/start")
    assert (said.status, said.code) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize("verb", ["restart", "stop", "start"])
def test_nothing_more_can_be_said(api: Api, make_cluster: MakeCluster, verb: str) -> None:
    said = api.post(f"/clusters/{make_cluster().cluster_id}/{verb}", force=True)
    assert list(said.field_errors) == ["force"]
