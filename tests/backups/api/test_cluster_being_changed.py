"""Backups and restores that are asked for while the cluster restarts, starts, is scaled or stops.

The clusters are in memory and answer no Milvus call, as one that is down for a moment.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from backups.models import Backup
from backups.services import restores
from clusters.models import Cluster
from clusters.states import Condition
from tests.api.client import Api
from vbase_console.tasks.models import Task

COMES_UP = {
    "restart": ("restart", {}),
    "scale": ("scale", {"resourceConfig": {"computeUnits": 4}}),
}


@pytest.fixture
def restore(cluster: Cluster) -> str:
    return f"/{cluster.service_id}/backup/restore"


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive can be read; its contents do not matter here."""
    monkeypatch.setattr(restores, "read_archive", lambda backup: SimpleNamespace(manifest=None))


def change(api: Api, cluster: Cluster, how: str) -> Task:
    path, body = COMES_UP.get(how, (how, {}))
    assert api.post(f"/clusters/{cluster.cluster_id}/{path}", **body).status == 200
    return Task.objects.latest("pk")


@pytest.mark.parametrize("how", COMES_UP)
def test_a_backup_waits_for_a_change_that_brings_the_cluster_up(
    api: Api, cluster: Cluster, of: str, how: str
) -> None:
    change(api, cluster, how)
    said = api.post(of, collectionNames=["images"])
    assert (said.status, said["job"]["status"]) == (200, "PENDING")


@pytest.mark.parametrize("how", COMES_UP)
def test_a_restore_waits_for_a_change_that_brings_the_target_up(
    api: Api, cluster: Cluster, restore: str, backup: Backup, how: str
) -> None:
    change(api, cluster, how)
    said = api.post(restore, backupName=backup.name)
    assert (said.status, said["job"]["status"]) == (200, "PENDING")


def test_a_stop_that_was_accepted_is_named(
    api: Api, cluster: Cluster, of: str, restore: str, backup: Backup
) -> None:
    stop = change(api, cluster, "stop")
    for said in (
        api.post(of, collectionNames=["images"]),
        api.post(restore, backupName=backup.name),
    ):
        assert said.code == "FAILED_PRECONDITION"
        assert stop.task_id in said["response"]["message"]


def test_a_stop_that_was_accepted_while_the_cluster_was_asked_is_named(
    api: Api, cluster: Cluster, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.services import backups

    ask = backups.require_collections

    def slowly(*arguments: object) -> None:
        if not Task.objects.filter(kind="STOP").exists():
            change(api, cluster, "stop")
        ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "require_collections", slowly)
    said = api.post(of, collectionNames=["images"])
    assert said.code == "FAILED_PRECONDITION"
    assert Task.objects.get(kind="STOP").task_id in said["response"]["message"]


def test_a_change_that_has_ended_meanwhile_has_the_cluster_asked_again(
    api: Api, cluster: Cluster, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.services import backups
    from vbase_console.core.errors import Unavailable

    restart, asked = change(api, cluster, "restart"), list[object]()

    def answers_the_second_time(*arguments: object) -> None:
        asked.append(arguments)
        if len(asked) == 1:
            Task.objects.filter(pk=restart.pk).update(state="SUCCEEDED", progress=100)
            raise Unavailable

    monkeypatch.setattr(backups, "require_collections", answers_the_second_time)
    assert api.post(of, collectionNames=["images"]).status == 200
    assert len(asked) == 2


def test_a_dry_run_names_the_change_that_it_must_wait_for(
    api: Api, cluster: Cluster, restore: str, backup: Backup
) -> None:
    restart = change(api, cluster, "restart")
    said = api.post(restore, backupName=backup.name, dryRun=True)
    assert (said.status, said.header("Retry-After")) == (503, "5")
    assert restart.task_id in said["response"]["message"]


def test_a_silence_that_no_task_accounts_for_is_logged_without_a_traceback(
    api: Api, cluster: Cluster, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Cluster.objects.get().condition == Condition.RUNNING
    assert api.post(of, collectionNames=["images"]).status == 503
    assert [record.exc_info for record in caplog.records if record.name.startswith("vbase")] == [
        None
    ]
