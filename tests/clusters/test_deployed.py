"""The clusters that most tests are given are those that a worker would leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.utils import timezone

from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
ITS_OWN = {"id", "pk", "task_id", "cluster_id", "service_id", "subject_id", "lock", "sealed_token"}
ITS_OWN |= {"name", "port", "quota_key"}


@pytest.mark.parametrize(
    "fields",
    [{}, {"resources": {"version": "2.0.0", "compute_units": 3}}, {"labels": {"tier": "gold"}}],
)
def test_a_cluster_deployed_at_once_is_as_a_worker_leaves_it(
    make_cluster: MakeCluster, work: Callable[[], int], fields: dict[str, Any]
) -> None:
    by_a_worker = make_cluster("by a worker", running=False, **fields)
    assert work() == 1
    at_once = make_cluster("at once", **fields)
    assert everything_about(at_once) == everything_about(by_a_worker)
    assert not AuditEntry.objects.exists()


def test_the_driver_knows_it(make_cluster: MakeCluster, driver: MemoryDriver) -> None:
    cluster = make_cluster()
    assert driver.accepts(cluster.cluster_id, cluster.token)


def test_a_driver_that_is_told_to_fail_meets_a_worker(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    driver.fail_next("create")
    make_cluster()
    assert Task.objects.get().epoch == 1
    assert "Planned failure" in Task.objects.get().message


def everything_about(cluster: Cluster) -> dict[str, Any]:
    """All rows, with instants only as to whether they are there, and which before which."""
    task = Task.objects.filter(subject_id=cluster.cluster_id)
    events = task.get().events
    return {
        "cluster": plain(Cluster.objects.values().get(pk=cluster.pk)),
        "task": plain(task.values().get()),
        "events": [plain(row) for row in events.values()],
    }


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    return {
        key: "an instant" if hasattr(value, "tzinfo") and value <= now else value
        for key, value in row.items()
        if key not in ITS_OWN and not key.startswith("_")
    }
