"""A Milvus that runs elsewhere, from its attachment to its detachment, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.backups.conftest import fill
from tests.clusters.attached.servers import LiteServer
from tests.live import Api, Console, wait_for

ROWS = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiteServer]:
    server = LiteServer(tmp_path / "data")
    yield server
    server.close()


def attach(api: Api, name: str, port: int) -> dict[str, str]:
    body = {"name": name, "endpoint": "127.0.0.1", "port": port, "token": "backup:password"}
    return dict(api.post("/clusters/attach", **body)["cluster"])


def test_an_attached_cluster_lives_from_attachment_to_detachment(
    api: Api, server: LiteServer
) -> None:
    milvus = server.client()
    fill(milvus, rows=ROWS)
    milvus.close()
    cluster = attach(api, "elsewhere", server.port)
    api.wait_for_status(cluster, "RUNNING")
    _is_backed_up(api, cluster)
    server.end()
    api.wait_for_status(cluster, "ERROR")
    assert (
        "refused the connection" in api.get(f"/{cluster['serviceId']}")["service"]["statusMessage"]
    )
    server.start()
    api.wait_for_status(cluster, "RUNNING")
    api.delete(f"/clusters/{cluster['clusterId']}")
    api.wait_for_status(cluster, "DELETED")
    _is_unchanged(server)


def _is_backed_up(api: Api, cluster: dict[str, str]) -> None:
    job = api.post(f"/{cluster['serviceId']}/backup", collectionNames=["images"])["job"]
    ended = wait_for(
        lambda: [
            one
            for one in [api.get(f"/jobs/{job['jobId']}")["job"]]
            if one["status"] not in ("PENDING", "RUNNING")
        ]
    )
    assert (ended[0]["status"], ended[0]["rowCount"]) == ("SUCCEEDED", ROWS)


def _is_unchanged(server: LiteServer) -> None:
    milvus = server.client()
    milvus.load_collection("images")  # the engine forgets loads when it is started again
    assert milvus.list_collections() == ["images"]
    assert milvus.query("images", output_fields=["count(*)"]) == [{"count(*)": ROWS}]
    milvus.close()


def test_no_port_on_which_a_process_of_the_console_listens_can_be_attached(
    api: Api, console: Console
) -> None:
    api.created("neighbour")
    listening = {
        connection.laddr.port
        for process in console.processes()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 4  # web, gRPC, broker, the cluster
    answers = {
        port: api.http.post(
            "/clusters/attach", json={"name": f"p{port}", "endpoint": "localhost", "port": port}
        ).json()["response"]
        for port in listening
    }
    assert {port: answer.get("fieldErrors", {}).keys() for port, answer in answers.items()} == {
        port: {"port"} for port in listening
    }
