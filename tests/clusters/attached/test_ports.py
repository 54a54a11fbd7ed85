"""Ports of the console and of its clusters cannot be attached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.models import Cluster
from clusters.sweeps import sweep_clusters
from tests.api.client import Api
from tests.clusters.attached.servers import FakeMilvus
from vbase_console.core.addresses import parse_networks

Attach = Callable[..., Cluster]


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> None:
    """Every test stores rows."""


def attach(api: Api, port: int, endpoint: str = "127.0.0.1") -> Any:
    return api.post("/clusters/attach", name="a", endpoint=endpoint, port=port)


@pytest.mark.parametrize("endpoint", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_the_port_of_the_web_is_refused_on_every_address(
    api: Api, settings: Any, endpoint: str
) -> None:
    said = attach(api, settings.PORT, endpoint)
    assert list(said.field_errors) == ["port"]
    assert not Cluster.objects.exists()


def test_the_port_of_the_grpc_interface_is_refused(api: Api, settings: Any) -> None:
    assert list(attach(api, settings.GRPC_PORT).field_errors) == ["port"]


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("redis://:secret@127.0.0.1:6390/0", 6390),
        ("redis://localhost/0", 6379),
        ("amqp://a:b@127.0.0.1:5673//;amqp://a:b@localhost:5674//", 5674),
    ],
)
def test_the_port_of_the_broker_is_refused(api: Api, settings: Any, url: str, port: int) -> None:
    settings.CELERY_BROKER_URL = url
    assert list(attach(api, port).field_errors) == ["port"]


def test_the_port_of_the_backup_store_is_refused(
    api: Api, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUP_STORE = "s3://bucket/backups"
    monkeypatch.setenv("VBASE_S3_ENDPOINT", "http://127.0.0.1:8333")
    assert list(attach(api, 8333).field_errors) == ["port"]


@pytest.mark.parametrize("status", ["RUNNING", "STOPPED"])
def test_the_port_of_a_cluster_is_refused_also_to_its_owner(
    api: Api, make_cluster: Callable[..., Cluster], status: str
) -> None:
    own = make_cluster()
    Cluster.objects.filter(pk=own.pk).update(host="127.0.0.1", port=23456, status=status)
    assert list(attach(api, 23456).field_errors) == ["port"]


def test_the_port_of_a_deleted_cluster_is_free(
    api: Api, make_cluster: Callable[..., Cluster]
) -> None:
    own = make_cluster()
    Cluster.objects.filter(pk=own.pk).update(host="127.0.0.1", port=23456, status="DELETED")
    assert attach(api, 23456).status == 200


def test_the_port_of_an_attached_cluster_is_none_of_the_console(
    api: Api, attach: Attach, fake: FakeMilvus
) -> None:
    attach(fake.port)
    again = attach(fake.port, name="the same server", endpoint="localhost")
    assert again.status == "RUNNING"


def test_a_port_that_a_cluster_takes_later_is_refused_at_the_next_connection(
    attach: Attach, fake: FakeMilvus, make_cluster: Callable[..., Cluster]
) -> None:
    attached = attach(fake.port)
    own = make_cluster("own")
    taken = {"host": "127.0.0.1", "port": fake.port, "condition": "ABSENT"}
    Cluster.objects.filter(pk=own.pk).update(**taken)
    fake.received.clear()
    sweep_clusters()
    attached.refresh_from_db()
    assert attached.status == "ERROR"
    assert "belongs to this console" in attached.status_message
    assert fake.received == []


def test_without_allowed_networks_every_name_is_refused(api: Api, settings: Any) -> None:
    settings.ATTACH_NETWORKS = parse_networks("VBASE_ATTACH_NETWORKS", [])
    said = attach(api, 19530, "no-such-name.invalid")
    assert said.code == "FAILED_PRECONDITION"
    assert "VBASE_ATTACH_NETWORKS" in said["response"]["message"]
    assert not Cluster.objects.exists()


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("2130706433", "INVALID_ARGUMENT"),
        ("0177.0.0.1", "INVALID_ARGUMENT"),
        ("::ffff:127.0.0.1", "INVALID_ARGUMENT"),
        ("64:ff9b::7f00:1", "INVALID_ARGUMENT"),
        ("2002:7f00:1::", "INVALID_ARGUMENT"),
        ("169.254.169.254", "INVALID_ARGUMENT"),
        ("http://127.0.0.1", "INVALID_ARGUMENT"),
        ("8.8.8.8", "FAILED_PRECONDITION"),
    ],
)
def test_an_address_is_checked_when_it_is_given(api: Api, endpoint: str, code: str) -> None:
    assert attach(api, 19530, endpoint).code == code
    assert not Cluster.objects.exists()


@pytest.mark.parametrize("port", [0, -1, 65536, "19530", 1.5])
def test_a_port_is_a_number_of_a_port(api: Api, port: Any) -> None:
    assert list(attach(api, port).field_errors) == ["port"]
