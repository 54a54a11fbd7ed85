"""A console with one cluster and one collection, and a job that another process does; prints what
that process took. Started by `benchmarks.memory` once Django is set up.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pymilvus import DataType, MilvusClient

from backups.archive.columns import arrow_schema
from backups.connections import connect
from backups.milvus.insert import Inserter
from backups.milvus.schema import describe
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from benchmarks.embedded_cluster import embedded_cluster
from clusters.models import Cluster
from vbase_console.tasks.worker import run_task

_COLLECTION = "source"
_BATCH_SIZE = 10_000


def stage(kind: str, rows: int, dim: int) -> int:
    with embedded_cluster() as cluster:
        _fill(cluster, rows, dim)
        return _measured(kind, cluster)


def _fill(cluster: Cluster, rows: int, dim: int) -> None:
    _create(cluster, dim)
    with connect(cluster, "default") as client:
        collection = describe(client, _COLLECTION)
        inserter = Inserter(client, collection, _COLLECTION)
        for batch in _batches(arrow_schema(collection), rows, dim):
            inserter.add(batch, "_default")
        inserter.finish()
        client.flush([_COLLECTION])


def _create(cluster: Cluster, dim: int) -> None:
    tenant = MilvusClient(f"http://{cluster.host}:{cluster.port}", token=cluster.token)
    schema = tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    tenant.create_collection(_COLLECTION, schema=schema)
    tenant.close()


def _batches(schema: pa.Schema, rows: int, dim: int) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(1)
    for start in range(0, rows, _BATCH_SIZE):
        numbers = range(start, min(start + _BATCH_SIZE, rows))
        vectors = pa.array(random.random(len(numbers) * dim, dtype=np.float32))
        columns = [
            pa.array(numbers, pa.int64()),
            pa.array([f"the title of document {number}" for number in numbers]),
            pa.FixedSizeListArray.from_arrays(vectors, type=schema.field("vector").type),
        ]
        yield pa.record_batch(columns, schema=schema)


def _measured(kind: str, cluster: Cluster) -> int:
    job = plan_backup(cluster, collection_names=[_COLLECTION]).submit(by="bench")
    if kind == "BACKUP":
        return _in_a_process_of_its_own(job.task.task_id)
    run_task(job.task.task_id)
    job.backup.refresh_from_db()
    restore = plan_restore(job.backup, cluster, on_conflict="REPLACE").submit(by="bench")
    return _in_a_process_of_its_own(restore.task.task_id)


def _in_a_process_of_its_own(task_id: str) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", "--task", task_id]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1])


def main(kind: str, rows: str, dim: str) -> None:
    print(stage(kind, int(rows), int(dim)))
