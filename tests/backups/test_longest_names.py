"""The longest names that are accepted live through all that a cluster and its backups do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import DataType, MilvusClient

from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.milvus_names import MAX_FIELD_BYTES, MAX_NAME_BYTES, Kind, refusal_of_new
from clusters.models import Cluster
from clusters.services import restart_cluster
from vbase_console.tasks.states import TaskState

Work = Callable[[], int]
ROWS = 50


def longest(kind: Kind, character: str, beginning: str = "") -> str:
    """As many bytes as the kind may have, of characters of this kind."""
    most = MAX_FIELD_BYTES if kind is Kind.FIELD else MAX_NAME_BYTES
    room = most - len(beginning.encode())
    count = room // len(character.encode())
    name = beginning + character * count + "x" * (room - count * len(character.encode()))
    assert len(name.encode()) == most
    assert not refusal_of_new(kind, name)
    return name


@pytest.fixture
def restarted(cluster: Cluster, work: Work) -> Callable[[], None]:
    def restart() -> None:
        restart_cluster(cluster, by="alice")
        work()

    return restart


@pytest.mark.parametrize("character", ["n", "é", "日", "😀", "."], ids=ascii)
def test_the_longest_names_live_as_long_as_their_collection(
    character: str,
    cluster: Cluster,
    milvus: MilvusClient,
    restarted: Callable[[], None],
    work: Work,
) -> None:
    database = longest(Kind.DATABASE, "d", beginning=f"{ord(character)}")
    name = longest(Kind.COLLECTION, character, "c")
    partition, alias = longest(Kind.PARTITION, character, "p"), longest(Kind.ALIAS, character, "a")
    vector, number = longest(Kind.FIELD, character, "v"), longest(Kind.FIELD, character, "n")
    milvus.create_database(database)
    milvus.use_database(database)
    make(milvus, name, vector, number)
    milvus.create_partition(name, partition)
    milvus.create_alias(name, alias)
    milvus.insert(name, [row(key, vector, number) for key in range(ROWS)], partition_name=partition)
    milvus.flush(name)
    milvus.insert(name, [row(ROWS, vector, number)])
    restarted()
    assert numbers(milvus, alias, number) == set(range(ROWS + 1))

    job = plan_backup(cluster, collection_names=[name], db_name=database).submit(by="alice")
    state, refused_names = finished(job, work)
    assert (state.split()[0], refused_names) == (TaskState.SUCCEEDED, []), state
    renamed = longest(Kind.COLLECTION, character, "r")
    milvus.rename_collection(name, renamed)
    milvus.drop_alias(alias)
    back = plan_restore(Backup.objects.get(), cluster).submit(by="alice")
    state, _ = finished(back, work)
    assert state.startswith(TaskState.SUCCEEDED), state

    restarted()
    for each in (renamed, alias):
        assert numbers(milvus, each, number) == set(range(ROWS + 1))
        hits = milvus.search(each, [[1.0] * 4], anns_field=vector, limit=3)[0]
        assert len(hits) == 3
    held = milvus.query(
        name, filter="id >= 0", output_fields=["count(*)"], partition_names=[partition]
    )
    assert held[0]["count(*)"] == ROWS
    replaced = plan_restore(Backup.objects.get(), cluster, on_conflict="REPLACE").submit(by="alice")
    state, _ = finished(replaced, work)
    assert state.startswith(TaskState.SUCCEEDED), state
    milvus.release_collection(name)
    milvus.drop_partition(name, partition)
    milvus.drop_alias(alias)
    milvus.drop_collection(name)
    milvus.drop_collection(renamed)
    milvus.use_database("default")
    milvus.drop_database(database)
    assert database not in milvus.list_databases()


def make(milvus: MilvusClient, name: str, vector: str, number: str) -> None:
    schema = milvus.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(vector, DataType.FLOAT_VECTOR, dim=4)
    schema.add_field(number, DataType.INT64)
    index = milvus.prepare_index_params()
    index.add_index(vector, index_type="HNSW", metric_type="L2", params={"M": 8})
    index.add_index(number, index_type="INVERTED")
    milvus.create_collection(name, schema=schema, index_params=index)


def row(key: int, vector: str, number: str) -> dict[str, object]:
    return {"id": key, vector: [float(key)] * 4, number: key, "more": "é"}


def numbers(milvus: MilvusClient, name: str, number: str) -> set[int]:
    found = milvus.query(name, filter="id >= 0", output_fields=[number], limit=1000)
    return {each[number] for each in found}


def finished(job: BackupJob, work: Work) -> tuple[str, list[str]]:
    work()
    job.task.refresh_from_db()
    of_names = [text for text in job.task.warnings if "cannot be restored" in text]
    return f"{job.task.state} {job.task.message}", of_names
