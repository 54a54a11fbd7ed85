"""One organization attaches a server once with one token."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError

from clusters.models import Cluster
from tests.api.client import Api
from tests.clusters.attached.servers import FakeMilvus
from tests.drivers.launched import TOKEN
from tests.tasks.together import together

Attach = Callable[..., Cluster]


def attached(api: Api, fake: FakeMilvus, name: str = "second", **fields: Any) -> Any:
    body = {"name": name, "endpoint": "127.0.0.1", "port": fake.port, "token": TOKEN} | fields
    return api.post("/clusters/attach", **body)


def test_a_server_that_is_attached_is_refused_with_the_name_of_its_cluster(
    attach: Attach, fake: FakeMilvus, api: Api
) -> None:
    attach(fake.port, name="first")
    said = attached(api, fake)
    assert (said.status, said.code) == (409, "ALREADY_EXISTS")
    assert "attached as 'first'" in said.body["response"]["message"]
    assert TOKEN not in str(said.body)


def test_another_spelling_of_a_name_is_the_same_server(
    fake: FakeMilvus, api: Api, transactional_db: None
) -> None:
    assert attached(api, fake, name="first", endpoint="localhost").status == 200
    assert attached(api, fake, endpoint="LocalHost").status == 409


def test_another_token_port_or_address_is_another_server(
    attach: Attach, fake: FakeMilvus, api: Api
) -> None:
    attach(fake.port, name="first")
    assert attached(api, fake, name="second", token="user:other").status == 200
    assert attached(api, fake, name="third", port=fake.port + 1).status == 200
    assert attached(api, fake, name="fourth", endpoint="127.0.0.2").status == 200


def test_a_detached_server_can_be_attached_again(
    attach: Attach, fake: FakeMilvus, api: Api, work: Callable[[], int]
) -> None:
    cluster = attach(fake.port, name="first")
    assert api.delete(f"/clusters/{cluster.pk}").status == 200
    work()
    assert Cluster.objects.get(pk=cluster.pk).server_mark == ""
    assert attached(api, fake).status == 200


def test_a_server_that_is_being_detached_can_be_attached_after_that(
    attach: Attach, fake: FakeMilvus, api: Api
) -> None:
    first = attach(fake.port, name="first")
    assert api.delete(f"/clusters/{first.pk}").status == 200
    said = attached(api, fake)
    assert said.status == 409
    assert "'first' is being detached. Try again" in said.body["response"]["message"]


def test_a_connection_is_not_changed_to_that_of_another_cluster(
    attach: Attach, fake: FakeMilvus, api: Api
) -> None:
    attach(fake.port, name="first")
    with FakeMilvus(token=TOKEN) as other:
        second = attach(other.port, name="second")
        said = api.patch(f"/clusters/{second.pk}", port=fake.port, token=TOKEN)
    assert (said.status, said.code) == (409, "ALREADY_EXISTS")
    assert Cluster.objects.get(pk=second.pk).port == other.port


def test_another_organization_learns_nothing(
    attach: Attach, fake: FakeMilvus, stranger: Api
) -> None:
    first = attach(fake.port, name="first")
    said = attached(stranger, fake)
    assert said.status == 200
    assert Cluster.objects.get(pk=said["cluster"]["clusterId"]).server_mark != first.server_mark


def test_of_four_requests_at_once_one_attaches_the_server(
    fake: FakeMilvus, api: Api, transactional_db: None
) -> None:
    said = together(4, lambda number: attached(api, fake, name=f"cluster-{number}").status)
    assert sorted(said) == [200, 409, 409, 409]


def test_the_database_refuses_a_second_cluster(attach: Attach, fake: FakeMilvus) -> None:
    first = attach(fake.port, name="first")
    twin = Cluster(organization=first.organization, name="twin", driver="attached")
    twin.connection = first.connection
    with pytest.raises(IntegrityError):
        twin.save()


def test_servers_from_before_the_rule_get_their_marks(attach: Attach, fake: FakeMilvus) -> None:
    first = attach(fake.port, name="first")
    mark = first.server_mark
    Cluster.objects.update(server_mark="")
    Cluster.objects.bulk_create([_twin_of(first)])
    import_module("clusters.migrations.0008_attached_once").mark_attached_servers(apps, None)
    marks = dict(Cluster.objects.values_list("name", "server_mark"))
    assert marks == {"first": mark, "twin": ""}


def test_a_second_entry_from_before_the_rule_renews_its_connection(
    attach: Attach, fake: FakeMilvus, api: Api
) -> None:
    first = attach(fake.port, name="first")
    Cluster.objects.bulk_create([_twin_of(first)])
    Cluster.objects.filter(name="twin").update(condition="RUNNING", status="RUNNING")
    twin = Cluster.objects.get(name="twin")
    assert api.patch(f"/clusters/{twin.pk}", port=fake.port, token=TOKEN).status == 200
    with FakeMilvus(token=TOKEN) as other:
        assert api.patch(f"/clusters/{twin.pk}", port=other.port, token=TOKEN).status == 200
    assert Cluster.objects.get(pk=twin.pk).server_mark != ""


def _twin_of(cluster: Cluster) -> Cluster:
    twin = Cluster(organization=cluster.organization, name="twin", driver="attached")
    twin.connection = cluster.connection
    twin.server_mark = ""
    return twin
