"""Changing the connection of an attached cluster: checked first, and never with an old token."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from clusters import attach as attach_services
from clusters.models import Cluster
from tests.api.client import Api
from tests.clusters.attached.servers import FakeMilvus, RawServer, hang
from tests.drivers.launched import TOKEN
from tests.ports import free_port
from vbase_console.core.errors import Aborted, ConsoleError
from vbase_console.organizations.models import AuditEntry, Organization
from vbase_console.organizations.scopes import GET_CLUSTER, SCALE_CLUSTER
from vbase_console.organizations.services import issue_api_key
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

Attach = Callable[..., Cluster]
OTHER_TOKEN = "other:password"


@pytest.fixture
def other() -> Iterator[FakeMilvus]:
    with FakeMilvus(token=OTHER_TOKEN, version="v2.6.0") as server:
        yield server


@pytest.fixture
def cluster(attach: Attach, fake: FakeMilvus) -> Cluster:
    return attach(fake.port)


@pytest.fixture
def scaler(organization: Organization) -> Api:
    """A key that may change clusters but make none."""
    return Api(issue_api_key(organization, name="s", scopes=[SCALE_CLUSTER, GET_CLUSTER])[1])


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def test_a_new_address_is_used_with_its_token(
    api: Api, cluster: Cluster, other: FakeMilvus, fake: FakeMilvus
) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", port=other.port, token=OTHER_TOKEN)
    assert (said.status, said["cluster"]["version"]) == (200, "v2.6.0")
    assert (now(cluster).port, now(cluster).token) == (other.port, OTHER_TOKEN)
    assert OTHER_TOKEN not in fake.received
    assert other.received == [OTHER_TOKEN]


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "localhost"},
        {"port": 19531},
        {"tls": True},
        {"tls": True, "caCertificate": "-----BEGIN CERTIFICATE-----"},
    ],
    ids=str,
)
def test_a_new_address_requires_a_token(
    api: Api, cluster: Cluster, fake: FakeMilvus, fields: dict[str, object]
) -> None:
    fake.received.clear()
    said = api.patch(f"/clusters/{cluster.pk}", **fields)
    assert list(said.field_errors) == ["token"]
    assert fake.received == []


def test_a_stored_token_is_not_sent_to_another_port(
    api: Api, cluster: Cluster, other: FakeMilvus
) -> None:
    assert api.patch(f"/clusters/{cluster.pk}", port=other.port).code == "INVALID_ARGUMENT"
    assert other.received == []


def test_the_same_address_requires_no_token(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", endpoint="127.0.0.1", port=cluster.port)
    assert said.status == 200


def test_a_new_address_requires_the_scope_of_creating(
    scaler: Api, cluster: Cluster, other: FakeMilvus
) -> None:
    said = scaler.patch(f"/clusters/{cluster.pk}", port=other.port, token=OTHER_TOKEN)
    assert said.status == 403
    assert other.received == []


def test_a_new_token_for_the_same_address_does_not(
    scaler: Api, cluster: Cluster, fake: FakeMilvus
) -> None:
    fake.token = OTHER_TOKEN
    assert scaler.patch(f"/clusters/{cluster.pk}", token=OTHER_TOKEN).status == 200
    assert now(cluster).token == OTHER_TOKEN


def test_the_present_connection_is_kept_if_the_new_one_fails(
    api: Api, cluster: Cluster, fake: FakeMilvus
) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", port=free_port(), token=TOKEN)
    assert said.code == "UNAVAILABLE"
    assert (now(cluster).port, now(cluster).status) == (fake.port, "RUNNING")


def test_a_token_that_the_server_refuses_is_refused(api: Api, cluster: Cluster) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", token="wrong")
    assert said.code == "FAILED_PRECONDITION"
    assert "refused the token" in said["response"]["message"]
    assert now(cluster).token == TOKEN


def test_a_name_is_kept_when_the_connection_is_refused(api: Api, cluster: Cluster) -> None:
    assert api.patch(f"/clusters/{cluster.pk}", name="new", token="wrong").status == 400
    assert now(cluster).name == "elsewhere"


def test_name_and_connection_can_change_together(
    api: Api, cluster: Cluster, other: FakeMilvus
) -> None:
    body = {"name": "new", "port": other.port, "token": OTHER_TOKEN}
    assert api.patch(f"/clusters/{cluster.pk}", **body).status == 200
    assert (now(cluster).name, now(cluster).port) == ("new", other.port)


def test_a_cluster_in_error_runs_again_with_the_right_token(api: Api, cluster: Cluster) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(
        status="ERROR", condition="BROKEN", status_message="The token was refused."
    )
    said = api.patch(f"/clusters/{cluster.pk}", token=TOKEN)
    assert said["cluster"]["serviceStatus"] == "RUNNING"
    assert said["cluster"]["statusMessage"] is None


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.PENDING])
def test_a_job_that_has_begun_keeps_its_address(
    api: Api, cluster: Cluster, other: FakeMilvus, state: TaskState
) -> None:
    job = Task.objects.create(
        task_id="job-1",
        organization=cluster.organization,
        kind="BACKUP",
        subject_id="bak-1",
        lock=cluster.lock,
        state=state,
        epoch=1,
    )
    said = api.patch(f"/clusters/{cluster.pk}", port=other.port, token=OTHER_TOKEN)
    assert said.code == "ABORTED"
    assert job.task_id in said["response"]["message"]
    assert api.patch(f"/clusters/{cluster.pk}", token=TOKEN).status == 200


def test_of_two_changes_at_once_the_second_is_refused(cluster: Cluster, other: FakeMilvus) -> None:
    fields = {"port": other.port, "token": OTHER_TOKEN}
    first = attach_services.plan_connection_change(cluster, fields)
    second = attach_services.plan_connection_change(cluster, fields)
    attach_services.change_connection(cluster, first)
    with pytest.raises(Aborted, match="Another request"):
        attach_services.change_connection(cluster, second)


def test_an_organization_checks_one_connection_at_a_time(api: Api, cluster: Cluster) -> None:
    def check(port: int) -> None:
        with contextlib.suppress(ConsoleError):
            attach_services.plan_connection_change(cluster, {"port": port, "token": TOKEN})
        connection.close()

    with RawServer(hang) as server:
        checking = threading.Thread(target=check, args=(server.port,))
        checking.start()
        while not server.connections:
            checking.join(0.01)
        said = api.patch(f"/clusters/{cluster.pk}", token=TOKEN)
        server.drop_connections()
        checking.join()
    assert said.code == "RESOURCE_EXHAUSTED"


def test_a_cluster_of_the_console_has_no_connection_to_change(
    api: Api, make_cluster: Callable[..., Cluster]
) -> None:
    said = api.patch(f"/clusters/{make_cluster().pk}", token="mine")
    assert said.code == "FAILED_PRECONDITION"
    assert "is not attached" in said["response"]["message"]


def test_no_answer_and_no_audit_row_contains_the_token(
    api: Api, cluster: Cluster, organization: Organization
) -> None:
    said = api.patch(f"/clusters/{cluster.pk}", token="a wrong token")
    entries = organization.auditentry_set.values_list("detail", flat=True)
    assert "a wrong token" not in said.response.content.decode()
    assert all("a wrong token" not in detail for detail in entries)


def test_the_audit_entry_does_not_contain_the_address(
    api: Api, cluster: Cluster, other: FakeMilvus
) -> None:
    api.patch(f"/clusters/{cluster.pk}", port=other.port, token=OTHER_TOKEN)
    entry = AuditEntry.objects.get(action="UpdateCluster")
    assert entry.changes == {"connection": [None, "changed"]}
