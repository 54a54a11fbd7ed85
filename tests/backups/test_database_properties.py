"""Properties of a database are restored or named as lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups.connections import open_archive
from backups.milvus.client import Client
from backups.milvus.errors import Refused
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.backups.interruption import dies, taken_over

Work = Callable[[], int]
PROPERTIES = {
    "timezone": "Asia/Shanghai",
    "database.max.collections": "7",
    "database.force.deny.writing": "true",
}
MOMENT = "at == ISO '2024-05-01T12:00:00'"


@pytest.fixture
def source(milvus: MilvusClient) -> MilvusClient:
    """A client of a database with properties and one collection, whose time zone they tell."""
    milvus.create_database("source", properties=PROPERTIES)
    milvus.use_database("source")
    schema = milvus.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("at", DataType.TIMESTAMPTZ)
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    milvus.create_collection("times", schema=schema, index_params=index)
    milvus.insert("times", [{"id": 1, "vector": [1, 2], "at": "2024-05-01T12:00:00"}])
    return milvus


@pytest.fixture
def backup(cluster: Cluster, source: MilvusClient, work: Work) -> Backup:
    job = plan_backup(cluster, collection_names=["times"], db_name="source").submit(by="alice")
    work()
    return Backup.objects.get(pk=job.backup_id)


def restored(backup: Backup, cluster: Cluster, work: Work, **options: str) -> BackupJob:
    job = plan_restore(backup, cluster, **options).submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED", job.task.message
    return job


def properties_of(milvus: MilvusClient, name: str) -> dict[str, str]:
    found = dict(milvus.describe_database(name))
    assert found.pop("name") == name
    return found


def test_the_archive_holds_them(backup: Backup) -> None:
    assert open_archive(backup).manifest.capture.database_properties == PROPERTIES


def test_a_database_that_the_restore_makes_has_them_all(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    job = restored(backup, cluster, work, db_name="elsewhere")
    assert properties_of(milvus, "elsewhere") == PROPERTIES
    assert not any("propert" in text for text in job.task.warnings)


def test_a_query_that_depends_on_them_answers_as_before(
    backup: Backup, cluster: Cluster, source: MilvusClient, work: Work
) -> None:
    source.drop_collection("times")
    source.use_database("default")
    source.drop_database("source")
    restored(backup, cluster, work)
    source.use_database("source")
    assert [row["id"] for row in source.query("times", filter=MOMENT)] == [1]


def test_a_database_that_is_there_keeps_its_own_and_each_difference_is_named(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    milvus.alter_database_properties("default", {"timezone": "UTC", "mine": "1"})
    (said,) = restored(backup, cluster, work, db_name="default").task.warnings
    milvus.drop_database_properties("default", ["timezone", "mine"])
    assert said.startswith("Database 'default' exists and keeps its own properties: ")
    assert "timezone is 'Asia/Shanghai' in the backup and 'UTC' there" in said
    assert "database.max.collections is '7' in the backup and not set there" in said
    assert "mine is not set in the backup and '1' there" in said


def test_a_restore_over_the_same_database_is_no_loss(
    backup: Backup, cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    job = restored(backup, cluster, work, on_conflict="REPLACE")
    assert properties_of(milvus, "source") == PROPERTIES
    assert job.task.warnings == []


def test_limits_are_set_when_all_rows_are_there(
    backup: Backup, cluster: Cluster, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.restore.inserting import CollectionRestore

    during: list[dict[str, str]] = []
    insert = CollectionRestore.insert

    def noted(self: CollectionRestore) -> None:
        during.append(self._client.database_properties())
        insert(self)

    monkeypatch.setattr(CollectionRestore, "insert", noted)
    restored(backup, cluster, work, db_name="elsewhere")
    (found,) = during
    assert found.keys() - {"vbase_restore"} == {"timezone"}


def test_one_that_the_server_does_not_take_is_named_with_its_value(
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Client.call

    def refuse(self: Client, method: str, request: Any, **options: float) -> object:
        properties = request.properties if method == "AlterDatabase" else ()
        if any(pair.key == "database.max.collections" for pair in properties):
            raise Refused("not today", permanent=True)
        return call(self, method, request, **options)

    monkeypatch.setattr(Client, "call", refuse)
    job = restored(backup, cluster, work, db_name="elsewhere")
    (said,) = job.task.warnings
    assert "property database.max.collections could not be set to '7': not today" in said
    assert properties_of(milvus, "elsewhere").keys() == {
        *("timezone", "database.force.deny.writing")
    }


def test_properties_that_the_server_refuses_at_once_are_tried_again_at_the_end(
    backup: Backup,
    cluster: Cluster,
    milvus: MilvusClient,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Client.call

    def refuse(self: Client, method: str, request: object, **options: float) -> object:
        if method == "CreateDatabase" and "timezone" in str(request):
            raise Refused("no properties here", permanent=True)
        return call(self, method, request, **options)

    monkeypatch.setattr(Client, "call", refuse)
    restored(backup, cluster, work, db_name="elsewhere")
    assert properties_of(milvus, "elsewhere") == PROPERTIES


def test_a_death_at_any_effect_leaves_a_database_with_all_of_them(
    backup: Backup, cluster: Cluster, milvus: MilvusClient
) -> None:
    for effect in range(1, 100):
        name = f"after_{effect}"
        job = plan_restore(backup, cluster, db_name=name).submit(by="alice")
        if not dies(job.task, at=effect):
            break
        assert taken_over(job.task).state == "SUCCEEDED"
        assert properties_of(milvus, name) == PROPERTIES, effect
    assert effect > 5


def test_a_collection_of_a_database_without_properties_loses_none(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, rows=3)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    backup = Backup.objects.get(pk=job.backup_id)
    assert open_archive(backup).manifest.capture.database_properties == {}
    assert restored(backup, cluster, work, db_name="elsewhere").task.warnings == []
