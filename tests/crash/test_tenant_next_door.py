"""A real broker and a real Celery worker with two slots, for two organizations."""

from __future__ import annotations

from django.contrib.auth.models import User

from clusters.attach import attach_cluster
from clusters.drivers.base import Connection
from clusters.models import Cluster
from clusters.services import create_cluster
from tests.clusters.attached.servers import RawServer, hang
from tests.crash.processes import wait_until
from tests.crash.test_broker_gone import Worker, celery_worker, reports_its_slots, valkey
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

__all__ = ["celery_worker", "valkey"]


def attach(principal: Principal, server: RawServer, name: str) -> Task:
    connection = Connection(
        host="127.0.0.1", port=server.port, tls=False, ca_certificate="", token="any"
    )
    return attach_cluster(principal, name=name, connection=connection)[1]


def runs(cluster: Cluster, worker: Worker) -> bool:
    worker.look_after()
    return Cluster.objects.get(pk=cluster.pk).status == "RUNNING"


def test_servers_that_hang_leave_a_slot_to_the_tenant_next_door(
    celery_worker: Worker, principal: Principal, charlie: User
) -> None:
    next_door = principal_of_member(charlie, "other")
    first, _ = create_cluster(next_door, name="first")
    wait_until(lambda: runs(first, celery_worker), "the worker runs tasks")
    wait_until(reports_its_slots, "the worker has reported how many tasks it runs at a time")
    with RawServer(hang) as server, RawServer(hang) as other:
        hanging = [attach(principal, each, f"at {each.port}") for each in (server, other)]
        second, _ = create_cluster(next_door, name="second")
        wait_until(lambda: runs(second, celery_worker), "the tenant next door is served")
        states = [Task.objects.get(pk=task.pk).state for task in hanging]
    assert states == ["RUNNING", "PENDING"]
