from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.models import Cluster
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.organizations.tenancy import Principal

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


def test_it_answers_creating_and_runs_after_its_deployment(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster(running=False)
    assert cluster.status == "CREATING"
    work()
    cluster.refresh_from_db()
    assert cluster.status == "RUNNING"
    assert cluster.port


def test_it_shows_resizing_while_a_scaling_waits(make_cluster: MakeCluster, work: Work) -> None:
    cluster = make_cluster()
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    cluster.refresh_from_db()
    assert cluster.status == "RESIZING"
    work()
    cluster.refresh_from_db()
    assert (cluster.status, cluster.compute_units) == ("RUNNING", 2)


def test_it_deletes_and_frees_the_name(
    make_cluster: MakeCluster, work: Work, principal: Principal
) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    with pytest.raises(Aborted):
        services.stop_cluster(cluster, by="alice")
    work()
    cluster.refresh_from_db()
    assert cluster.status == "DELETED"
    services.create_cluster(principal, name=cluster.name)


def test_it_refuses_to_stop_twice(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    with pytest.raises(FailedPrecondition, match="task-"):
        services.stop_cluster(cluster, by="alice")
