"""Attaching, changing a connection and detaching on pages, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from clusters.models import Cluster
from tests.clusters.attached.certificates import Authority
from tests.clusters.attached.servers import FakeMilvus
from tests.drivers.launched import TOKEN
from tests.ports import free_port
from vbase_console.organizations.models import AuditEntry, Organization

Attach = Callable[..., Cluster]
Work = Callable[[], int]
NEW = "/o/acme/clusters/attach"
SHOWN = escape(TOKEN)
"""The token as a page would contain it."""


@pytest.fixture
def web(
    organization: Organization,
    alice: User,
    signed_in: Callable[[User], Client],
    transactional_db: None,
) -> Client:
    return signed_in(alice)


@pytest.fixture
def cluster(attach: Attach, fake: FakeMilvus) -> Cluster:
    return attach(fake.port)


def form(port: int, **fields: object) -> dict[str, object]:
    given = {"name": "elsewhere", "endpoint": "127.0.0.1", "port": port, "token": TOKEN}
    return given | fields


def page(web: Client, path: str) -> str:
    answer = web.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_form_attaches_a_server(web: Client, fake: FakeMilvus, work: Work) -> None:
    answer = web.post(NEW, form(fake.port, labels="team=search"))
    cluster = Cluster.objects.get()
    assert answer["Location"] == f"/o/acme/clusters/{cluster.pk}"
    work()
    cluster.refresh_from_db()
    assert (cluster.status, cluster.labels) == ("RUNNING", {"team": "search"})


def test_the_list_leads_to_the_form(web: Client) -> None:
    assert f'href="{NEW}"' in page(web, "/o/acme/clusters")


def test_the_form_has_the_port_of_milvus(web: Client) -> None:
    assert 'value="19530"' in page(web, NEW)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"endpoint": "169.254.169.254"}, "metadata service"),
        ({"endpoint": "http://milvus"}, "without scheme"),
        ({"endpoint": "8.8.8.8"}, "VBASE_ATTACH_NETWORKS"),
        ({"ca_certificate": "-----BEGIN CERTIFICATE-----"}, "requires TLS"),
        ({"tls": "on", "ca_certificate": "no certificate"}, "in PEM form"),
        ({"tls": "on", "ca_certificate": "-----BEGIN PRIVATE KEY-----"}, "without a private key"),
    ],
    ids=str,
)
def test_a_refusal_is_shown_and_the_token_is_not_sent_back(
    web: Client, fields: dict[str, object], problem: str
) -> None:
    answer = web.post(NEW, form(19530, **fields))
    assert answer.status_code in (400, 422)
    assert problem in answer.content.decode()
    assert SHOWN not in answer.content.decode()
    assert not Cluster.objects.exists()


def test_a_port_of_the_console_is_refused_at_its_field(web: Client, settings: object) -> None:
    answer = web.post(NEW, form(settings.PORT))  # type: ignore[attr-defined]
    assert "belongs to this console" in answer.content.decode()


def test_the_page_of_the_cluster_offers_what_is_possible(web: Client, cluster: Cluster) -> None:
    shown = page(web, f"/o/acme/clusters/{cluster.pk}")
    offered = {name for name in ("scale", "restart", "stop", "start") if f'id="do-{name}"' in shown}
    assert offered == set()
    assert 'id="do-connection"' in shown
    assert "Operated" in shown
    assert "Compute units" not in shown


def test_no_page_contains_the_token(web: Client, cluster: Cluster) -> None:
    paths = ["", "/connection", "/edit", "/delete", "/operations"]
    assert all(SHOWN not in page(web, f"/o/acme/clusters/{cluster.pk}{path}") for path in paths)


def test_the_token_is_shown_on_request(web: Client, cluster: Cluster) -> None:
    shown = web.post(f"/o/acme/clusters/{cluster.pk}/token").content.decode()
    assert SHOWN in shown
    assert "Rotate the token" not in shown


def test_the_connection_is_changed_with_a_token(
    web: Client, cluster: Cluster, fake: FakeMilvus
) -> None:
    with FakeMilvus(token="new token") as other:
        answer = web.post(
            f"/o/acme/clusters/{cluster.pk}/connection", form(other.port, token="new token")
        )
    assert answer.status_code == 302
    cluster.refresh_from_db()
    assert (cluster.port, cluster.token) == (other.port, "new token")


def test_an_empty_token_keeps_the_present_one(web: Client, cluster: Cluster) -> None:
    answer = web.post(
        f"/o/acme/clusters/{cluster.pk}/connection", form(cluster.port or 0, token="")
    )
    assert answer.status_code == 302
    cluster.refresh_from_db()
    assert cluster.token == TOKEN


def test_a_new_port_without_a_token_is_refused_at_the_token(web: Client, cluster: Cluster) -> None:
    answer = web.post(f"/o/acme/clusters/{cluster.pk}/connection", form(free_port(), token=""))
    assert answer.status_code == 422
    assert "a stored token is not sent to a new address" in answer.content.decode()


def test_a_certificate_keeps_its_meaning_in_the_lines_of_a_form(
    web: Client, attach: Attach
) -> None:
    authority = Authority()
    credentials = authority.certificate("127.0.0.1").for_grpc()
    with FakeMilvus(token=TOKEN, credentials=credentials) as server:
        cluster = attach(server.port, tls=True, caCertificate=authority.pem)
        pem = authority.pem.replace("\n", "\r\n")
        fields = form(server.port, token="", tls="on", ca_certificate=pem)
        answer = web.post(f"/o/acme/clusters/{cluster.pk}/connection", fields)
    assert answer.status_code == 302


def test_an_operator_may_not_name_a_new_server_without_the_right_to_create(
    cluster: Cluster, bob: User, signed_in: Callable[[User], Client]
) -> None:
    answer = signed_in(bob).post(f"/o/acme/clusters/{cluster.pk}/connection", form(1))
    assert answer.status_code == 403


def test_detaching_says_that_the_server_is_kept(web: Client, cluster: Cluster) -> None:
    shown = page(web, f"/o/acme/clusters/{cluster.pk}/delete")
    assert f"the server <code>http://127.0.0.1:{cluster.port}</code>" in shown
    assert "all databases, collections and rows</li>" not in shown
    assert "Detach cluster" in shown


def test_the_page_detaches(web: Client, cluster: Cluster, work: Work) -> None:
    web.post(f"/o/acme/clusters/{cluster.pk}/delete", {"typed_name": cluster.name})
    work()
    cluster.refresh_from_db()
    assert cluster.status == "DELETED"


def test_attaching_is_audited_without_the_token(web: Client, fake: FakeMilvus) -> None:
    web.post(NEW, form(fake.port))
    entry = AuditEntry.objects.get(action="AttachCluster")
    assert entry.object_id == Cluster.objects.get().pk
    assert TOKEN not in f"{entry.detail} {entry.principal}"


def test_support_sees_the_connection_and_no_token(
    cluster: Cluster, sam: User, signed_in: Callable[[User], Client]
) -> None:
    shown = page(signed_in(sam), f"/admin/clusters/cluster/{cluster.pk}/change/")
    assert "attached" in shown
    assert SHOWN not in shown
    assert cluster.sealed_token not in shown
