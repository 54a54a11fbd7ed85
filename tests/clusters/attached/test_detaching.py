"""Detaching a server while a restore has renamed its collections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.restore.swap import Swap
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from tests.clusters.attached.servers import LiteServer
from vbase_console.tasks.models import Task

pytestmark = pytest.mark.usefixtures("store")

Attach = Callable[..., Cluster]
Work = Callable[[], int]
Fail = Callable[..., None]
ROWS = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiteServer]:
    server = LiteServer(tmp_path / "data")
    yield server
    server.close()


@pytest.fixture
def milvus(server: LiteServer) -> Iterator[MilvusClient]:
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def cluster(
    api: Api, attach: Attach, server: LiteServer, milvus: MilvusClient, work: Work
) -> Cluster:
    """An attached cluster whose collection has fewer rows than its backup."""
    fill(milvus, rows=ROWS)
    cluster = attach(server.port)
    api.post(f"/{cluster.service_id}/backup", collectionNames=["images"], backupName="full")
    work()
    milvus.delete("images", filter="id < 5")
    return cluster


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make a method fail after some calls, until the test ends or undoes the patch."""

    def fail(owner: type, method: str, *, after: int) -> None:
        original, calls = getattr(owner, method), []

        def call(self: Any, *arguments: Any) -> Any:
            calls.append(arguments)
            if len(calls) > after:
                raise MilvusError("The network was interrupted.", permanent=False)
            return original(self, *arguments)

        monkeypatch.setattr(owner, method, call)

    return fail


def begin_restore(api: Api, cluster: Cluster, work: Work) -> Task:
    """A restore whose first attempt has been interrupted, and pauses."""
    body = {"backupName": "full", "onConflict": "REPLACE"}
    said = api.post(f"/{cluster.service_id}/backup/restore", **body)
    work()
    task = Task.objects.get(task_id=said["job"]["jobId"])
    assert (task.state, task.epoch) == ("PENDING", 1), task.message
    return task


def detach(api: Api, cluster: Cluster, work: Work) -> str:
    assert api.delete(f"/clusters/{cluster.pk}").status == 200
    work()
    cluster.refresh_from_db()
    return cluster.status


def test_a_restore_between_two_renames_is_undone_first(
    api: Api,
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    fail: Fail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail(Client, "rename", after=1)
    task = begin_restore(api, cluster, work)
    assert "images" not in milvus.list_collections()
    monkeypatch.undo()
    assert detach(api, cluster, work) == "DELETED"
    task.refresh_from_db()
    assert (task.state, task.warnings) == ("CANCELLED", [])
    assert milvus.list_collections() == ["images"]
    assert milvus.query("images", output_fields=["count(*)"]) == [{"count(*)": ROWS - 5}]


def test_a_server_that_is_gone_is_detached_and_its_remains_are_named(
    api: Api, cluster: Cluster, server: LiteServer, work: Work, fail: Fail
) -> None:
    fail(Client, "rename", after=1)
    task = begin_restore(api, cluster, work)
    server.end()
    assert detach(api, cluster, work) == "DELETED"
    task.refresh_from_db()
    assert task.state == "CANCELLED"
    (warning,) = task.warnings
    assert "_vbase_old_" in warning
    assert "_vbase_restore_" in warning
    assert "(of images)" in warning


def test_a_restore_that_only_had_to_drop_the_old_collection_ends(
    api: Api, cluster: Cluster, server: LiteServer, work: Work, fail: Fail
) -> None:
    fail(Swap, "finish", after=0)
    task = begin_restore(api, cluster, work)
    server.end()
    assert detach(api, cluster, work) == "DELETED"
    task.refresh_from_db()
    assert task.state == "SUCCEEDED"
    assert "_vbase_old_" in task.warnings[-1]


def test_without_a_detachment_the_undo_is_tried_again(
    api: Api, cluster: Cluster, server: LiteServer, work: Work, fail: Fail
) -> None:
    fail(Client, "rename", after=1)
    task = begin_restore(api, cluster, work)
    server.end()
    api.post(f"/jobs/{task.task_id}/cancel")
    work()
    task.refresh_from_db()
    assert task.state in ("PENDING", "CANCELLING")
