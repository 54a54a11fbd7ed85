"""Attaching a Milvus that runs elsewhere, up to its first backup."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from tests.clusters.attached.servers import LiteServer
from vbase_console.tasks.models import Task

Attach = Callable[..., Cluster]
Work = Callable[[], int]


def test_an_attached_server_runs_with_the_version_that_it_answers(
    attach: Attach, elsewhere: LiteServer
) -> None:
    cluster = attach(elsewhere.port)
    assert (cluster.status, cluster.driver) == ("RUNNING", "attached")
    assert cluster.version.startswith("milvus_lite")


def test_its_task_names_the_steps_of_the_check(attach: Attach, elsewhere: LiteServer) -> None:
    task = Task.objects.get(subject_id=attach(elsewhere.port).pk)
    phases = [event.phase for event in task.events.all() if event.phase]
    assert list(dict.fromkeys(phases)) == ["resolving", "connecting", "checking"]
    assert (task.kind, task.state, task.progress) == ("DEPLOYMENT", "SUCCEEDED", 100)


@pytest.mark.usefixtures("store")
def test_its_collections_can_be_backed_up(
    attach: Attach, elsewhere: LiteServer, milvus: MilvusClient, api: Api, work: Work
) -> None:
    fill(milvus, rows=50)
    cluster = attach(elsewhere.port)
    said = api.post(f"/{cluster.service_id}/backup", collectionNames=["images"], backupName="first")
    assert said.status == 200, said.body
    work()
    job = api.get(f"/jobs/{said['job']['jobId']}")["job"]
    assert (job["status"], job["rowCount"]) == ("SUCCEEDED", 50), job
