"""A server that cannot be used: the task tells why, and nothing else is left."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.drivers.base import Connection, DriverError
from clusters.drivers.server_check import CHECK_SECONDS, check
from clusters.models import Cluster
from tests.api.client import Api
from tests.clusters.attached.certificates import DAY, NOW, Authority
from tests.clusters.attached.servers import (
    FakeMilvus,
    RawServer,
    hang,
    hang_up,
    redirect_to,
    speak_http,
    speak_tls,
)
from tests.drivers.launched import TOKEN
from tests.ports import free_port
from vbase_console.tasks.models import Task

Attach = Callable[..., Cluster]
TOLD_WITHIN_SECONDS = 15


def test_a_check_ends_before_users_must_be_told() -> None:
    assert CHECK_SECONDS < TOLD_WITHIN_SECONDS


def resolve(host: str, port: int) -> list[str]:
    """Every name leads to this machine."""
    return ["127.0.0.1"] if host != "::1" else ["::1"]


def failure(port: int, host: str = "milvus.example", **fields: Any) -> str:
    """Check a connection, and return the reason of its failure."""
    connection = Connection(host=host, port=port, **({"token": TOKEN} | fields))
    with pytest.raises(DriverError) as failed:
        list(check(connection, resolve, seconds=1.0))
    return str(failed.value)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


# Reasons


def test_a_wrong_port_is_refused() -> None:
    port = free_port()
    assert f"milvus.example:{port} refused the connection" in failure(port)


def test_a_wrong_token_is_told(fake: FakeMilvus) -> None:
    assert "refused the token" in failure(fake.port, token="root:wrong")


def test_a_server_that_hangs_is_told() -> None:
    with RawServer(hang) as server:
        assert "did not answer in time" in failure(server.port)


def test_a_milvus_that_hangs_is_told(fake: FakeMilvus) -> None:
    fake.answering.clear()
    assert "did not answer in time" in failure(fake.port)


@pytest.mark.parametrize("treat", [hang_up, speak_http], ids=["hangs up", "speaks HTTP"])
def test_a_server_that_is_no_milvus_is_told(treat: Callable[[socket.socket], None]) -> None:
    with RawServer(treat) as server:
        assert "not as a Milvus" in failure(server.port)


def test_a_grpc_server_without_milvus_is_told() -> None:
    with FakeMilvus(token=TOKEN, method="/other.Service/Call") as server:
        assert "not as a Milvus" in failure(server.port)


@pytest.mark.parametrize("version", ["", "a" * 41, "<script>", "v2\nnew line", TOKEN])
def test_a_version_that_is_none_is_no_milvus(version: str) -> None:
    with FakeMilvus(token=TOKEN, version=version) as server:
        assert "not as a Milvus" in failure(server.port)


def test_a_redirect_is_not_followed(fake: FakeMilvus) -> None:
    with RawServer(redirect_to(fake.port)) as server:
        assert "not as a Milvus" in failure(server.port)
    assert fake.received == []


# TLS


def test_a_certificate_of_the_given_authority_is_accepted(authority: Authority) -> None:
    credentials = authority.certificate("milvus.example").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        connection = Connection(
            host="milvus.example",
            port=server.port,
            tls=True,
            ca_certificate=authority.pem,
            token=TOKEN,
        )
        steps = list(check(connection, resolve))
    assert steps[-1].message == "The server answers: Milvus v2.5.4."


def test_a_certificate_of_an_address_is_accepted(authority: Authority) -> None:
    credentials = authority.certificate("127.0.0.1").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        connection = Connection(
            host="127.0.0.1", port=server.port, tls=True, ca_certificate=authority.pem, token=TOKEN
        )
        assert list(check(connection, resolve))


def test_an_expired_certificate_is_told(authority: Authority) -> None:
    credentials = authority.certificate("milvus.example", ends=NOW - DAY).for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        told = failure(server.port, tls=True, ca_certificate=authority.pem)
    assert "certificate has expired" in told
    assert server.received == []


def test_a_certificate_of_another_name_is_told(authority: Authority) -> None:
    credentials = authority.certificate("other.example").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        told = failure(server.port, tls=True, ca_certificate=authority.pem)
    assert "Hostname mismatch" in told
    assert server.received == []


def test_a_certificate_of_another_authority_is_told(authority: Authority) -> None:
    credentials = authority.certificate("milvus.example").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        told = failure(server.port, tls=True)
    assert "certificate was not accepted" in told
    assert server.received == []


def test_a_server_without_tls_is_told(fake: FakeMilvus) -> None:
    assert "does not speak TLS" in failure(fake.port, tls=True)
    assert fake.received == []


def test_a_server_with_tls_is_told_when_none_is_asked_for(authority: Authority) -> None:
    credentials = authority.certificate("milvus.example").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        assert "switch TLS on" in failure(server.port)


def test_a_server_that_hangs_after_the_handshake_is_told(
    authority: Authority, tmp_path: Path
) -> None:
    context = authority.certificate("milvus.example").for_sockets(tmp_path)
    with RawServer(speak_tls(context)) as server:
        told = failure(server.port, tls=True, ca_certificate=authority.pem)
    assert "did not answer in time" in told


# Secrets


def test_the_texts_of_a_server_reach_no_message(fake: FakeMilvus) -> None:
    told = failure(fake.port, token="root:a password")
    assert "a password" not in told
    assert TOKEN not in told


def test_a_proxy_of_the_environment_is_not_used(
    fake: FakeMilvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(hang_up) as proxy:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        connection = Connection(host="127.0.0.1", port=fake.port, token=TOKEN)
        assert list(check(connection, resolve))
    assert proxy.connections == 0


# Names with several addresses


def test_an_address_of_the_name_that_is_not_used_is_passed_over(fake: FakeMilvus) -> None:
    connection = Connection(host="localhost", port=fake.port, token=TOKEN)
    assert list(check(connection, lambda host, port: ["::1", "127.0.0.1"]))


def test_the_connection_goes_to_the_address_that_was_checked(
    fake: FakeMilvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up of the name would find no server, and fail."""
    look_ups = []
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        look_ups.append(host)
        return original(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    connection = Connection(host="changing.invalid", port=fake.port, token=TOKEN)
    assert list(check(connection, resolve))
    assert "changing.invalid" not in look_ups


# What is left


@pytest.fixture
def failed(attach: Attach) -> Cluster:
    return attach(free_port())


def test_a_failed_check_leaves_the_task_and_its_reason(failed: Cluster) -> None:
    task = Task.objects.get(subject_id=failed.pk)
    assert (task.state, failed.status) == ("FAILED", "DELETED")
    assert "While connecting" in task.message
    assert "refused the connection" in failed.status_message


def test_a_failed_check_erases_token_and_certificate(attach: Attach, authority: Authority) -> None:
    failed = attach(free_port(), tls=True, caCertificate=authority.pem)
    assert (failed.sealed_token, failed.ca_certificate) == ("", "")


def test_a_failed_check_frees_the_name(failed: Cluster, attach: Attach, fake: FakeMilvus) -> None:
    assert attach(fake.port, name=failed.name).status == "RUNNING"


def test_a_failed_check_is_not_retried(failed: Cluster, api: Api) -> None:
    task = Task.objects.get(subject_id=failed.pk)
    said = api.post(f"/clusters/{failed.pk}/task/{task.task_id}/retry")
    assert said.code == "FAILED_PRECONDITION"
    assert (task.epoch, Task.objects.count()) == (1, 1)


def test_a_name_that_does_not_resolve_fails_the_task(attach: Attach) -> None:
    cluster = attach(19530, endpoint="no-such-name.invalid")
    assert "While resolving: The name 'no-such-name.invalid' does not" in cluster.status_message


def test_a_cancelled_check_leaves_nothing(
    api: Api, fake: FakeMilvus, work: Callable[[], int], transactional_db: None
) -> None:
    said = api.post("/clusters/attach", name="a", endpoint="127.0.0.1", port=fake.port, token=TOKEN)
    cluster = Cluster.objects.get(pk=said["cluster"]["clusterId"])
    task = Task.objects.get(subject_id=cluster.pk)
    assert api.post(f"/clusters/{cluster.pk}/task/{task.task_id}/cancel").status == 200
    work()
    cluster.refresh_from_db()
    assert (cluster.status, cluster.sealed_token) == ("DELETED", "")
    assert fake.received == []


def test_a_policy_that_was_made_meanwhile_is_paused(
    api: Api, work: Callable[[], int], transactional_db: None
) -> None:
    said = api.post("/clusters/attach", name="a", endpoint="127.0.0.1", port=free_port())
    service = said["cluster"]["serviceId"]
    policy = api.post(f"/{service}/backup/policy", scheduleCron="0 3 * * *", retentionCount=3)
    assert policy.status == 200, policy.body
    work()
    policies = api.get(f"/{service}/backup/policy")["policies"]
    assert [one["isActive"] for one in policies] == [False]
