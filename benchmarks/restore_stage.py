"""Fills a collection, backs it up, writes it once by the columnar loop and once by a restore, and
prints seconds as JSON. Started by `benchmarks.restore`.
"""

from __future__ import annotations

import itertools
import json
import time

from pymilvus import MilvusClient

from backups.connections import connect
from backups.milvus.client import Client
from backups.milvus.create import create
from backups.milvus.schema import describe
from backups.models import BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from benchmarks.backup import SOURCE, columnar_loop, generated, make_source
from benchmarks.embedded_cluster import embedded_cluster
from clusters.models import Cluster
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

_BATCH_SIZE = 10_000
_REFERENCE = "reference"


def main(rows: str, dim: str, index: str) -> None:
    with embedded_cluster() as cluster, connect(cluster, "default") as client:
        tenant = MilvusClient(f"http://{cluster.host}:{cluster.port}", token=cluster.token)
        make_source(tenant, client, int(rows), int(dim))
        params = tenant.prepare_index_params()
        params.add_index("vector", index_type=index, metric_type="COSINE")
        tenant.create_index(SOURCE, params)
        backup = _done(plan_backup(cluster, collection_names=[SOURCE]).submit(by="bench"))
        loop = _loop(client, int(rows), int(dim))
        print(
            json.dumps({"columns of 10000, one after another": loop} | _restored(cluster, backup))
        )


def _loop(client: Client, rows: int, dim: int) -> float:
    collection = describe(client, SOURCE)
    create(client, collection, _REFERENCE)
    batches = list(generated(collection, rows, dim))
    started = time.perf_counter()
    columnar_loop(client, _REFERENCE, batches, _BATCH_SIZE)
    client.flush([_REFERENCE])
    seconds = time.perf_counter() - started
    client.drop(_REFERENCE)
    return seconds


def _restored(cluster: Cluster, backup: BackupJob) -> dict[str, float]:
    job = plan_restore(backup.backup, cluster, on_conflict="RENAME", suffix="_again").submit(
        by="bench"
    )
    started = time.perf_counter()
    task = _done(job).task
    whole = time.perf_counter() - started
    return _phases(task) | {"the whole restore": whole}


def _phases(task: Task) -> dict[str, float]:
    """Every new phase left an event; a phase lasts until the next one's."""
    events = list(task.events.all())
    spent: dict[str, float] = {}
    for event, following in itertools.pairwise(events):
        name = f"restore: {event.phase or 'starting'}"
        spent[name] = spent.get(name, 0) + (following.at - event.at).total_seconds()
    return spent


def _done(job: BackupJob) -> BackupJob:
    run_task(job.task.task_id)
    done = BackupJob.objects.select_related("task", "backup").get(pk=job.pk)
    if done.task.state != "SUCCEEDED":
        raise SystemExit(f"{done.task.kind} ended {done.task.state}: {done.task.message}")
    return done
